package s3api

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"path"
	"strings"
)

const (
	maxFormFields = 64 << 10  // bytes of all fields before the file, with their headers
	formMemory    = 256 << 10 // of a file that is held before it is stored, so that fields may follow it
	formBuffer    = 32 << 10
	maxBoundary   = 70 // RFC 2046, section 5.1.1
)

// form is an upload by an HTML form (RFC 7578), of which all up to the file was read.
type form struct {
	fields   map[string]string // by their names in lower case; the first of each
	filename string
	file     formFile
}

// formFile reads the content of the file up to the delimiter behind it.
type formFile struct {
	br    *bufio.Reader
	in    *countingReader
	delim []byte // CRLF, two hyphens, boundary
	done  bool
}

type countingReader struct {
	io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

var errMalformedPOST = &Error{Code: "MalformedPOSTRequest", Status: 400, Message: "The body of your POST request is not well-formed multipart/form-data."}

// readForm reads the fields before the file.
func readForm(contentType string, body io.Reader) (*form, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || kind != "multipart/form-data" {
		return nil, &Error{Code: "PreconditionFailed", Status: 412, Message: "Bucket POST must be of the enclosure-type multipart/form-data"}
	}
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, errMalformedPOST
	}
	in := &countingReader{Reader: body}
	f := &form{fields: map[string]string{}}
	f.file = formFile{in: in, br: bufio.NewReaderSize(in, formBuffer), delim: []byte("\r\n--" + boundary)}
	left := maxFormFields
	first, err := f.line(&left)
	if err == nil && len(bytes.TrimRight(first, "\r\n")) == 0 {
		first, err = f.line(&left) // a CRLF may stand before the first delimiter
	}
	if err != nil || string(bytes.TrimRight(first, "\r\n")) != "--"+boundary {
		return nil, formError(err)
	}
	for {
		name, filename, err := f.header(&left)
		if err != nil {
			return nil, err
		}
		if name == "file" {
			f.filename = filename
			return f, nil
		}
		value, last, err := f.value(&left)
		if err != nil {
			return nil, err
		}
		if _, twice := f.fields[name]; !twice {
			f.fields[name] = value
		}
		if last {
			return nil, errInvalidArgument.saying("POST requires exactly one file upload per request.").with("ArgumentName", "file").with("ArgumentValue", "0")
		}
	}
}

// formError is what the client is told when reading failed.
func formError(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // as bufio returns them
		return errMalformedPOST
	}
	return err
}

// line lends a line with its end.
func (f *form) line(left *int) ([]byte, error) {
	b, err := f.file.br.ReadSlice('\n')
	if *left -= len(b); *left < 0 || err == bufio.ErrBufferFull { //nolint:errorlint // as bufio returns it
		return nil, errMaxPostPreData
	}
	return b, err
}

var errMaxPostPreData = &Error{Code: "MaxPostPreDataLengthExceeded", Status: 400, Message: "Your POST request fields preceding the upload file were too large."}

// header reads the headers of a part.
func (f *form) header(left *int) (name, filename string, err error) {
	for {
		b, err := f.line(left)
		if err != nil {
			return "", "", formError(err)
		}
		text := strings.TrimRight(string(b), "\r\n")
		if text == "" {
			if name == "" {
				return "", "", errMalformedPOST
			}
			return name, filename, nil
		}
		key, value, _ := strings.Cut(text, ":")
		if !strings.EqualFold(key, "Content-Disposition") {
			continue
		}
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "form-data" {
			return "", "", errMalformedPOST
		}
		name, filename = strings.ToLower(params["name"]), params["filename"]
	}
}

// value reads a field up to its delimiter; last tells that the form ends with it.
func (f *form) value(left *int) (value string, last bool, err error) {
	var b []byte
	delim := f.file.delim[2:]
	for {
		line, err := f.line(left)
		if err != nil && len(line) == 0 {
			return "", false, formError(err)
		}
		if bytes.HasPrefix(line, delim) && (len(b) == 0 || bytes.HasSuffix(b, []byte("\r\n"))) {
			rest := bytes.TrimRight(line[len(delim):], " \t\r\n")
			if len(rest) == 0 || string(rest) == "--" {
				return strings.TrimSuffix(string(b), "\r\n"), len(rest) > 0, nil
			}
		}
		if err != nil {
			return "", false, formError(err)
		}
		b = append(b, line...)
	}
}

// Read gives bytes of the file; io.EOF at the delimiter.
func (f *formFile) Read(p []byte) (int, error) {
	if f.done || len(p) == 0 {
		if f.done {
			return 0, io.EOF
		}
		return 0, nil
	}
	if _, err := f.br.Peek(len(f.delim)); err != nil {
		return 0, formError(err)
	}
	b, _ := f.br.Peek(f.br.Buffered())
	i := bytes.Index(b, f.delim)
	switch {
	case i == 0 && f.delimits():
		f.done = true
		return 0, io.EOF
	case i == 0:
		i = 1
		b, _ = f.br.Peek(1) // it may have moved
	case i < 0:
		i = len(b) - len(f.delim) + 1 // what is behind may be the beginning of one
	}
	n := copy(p, b[:i])
	_, _ = f.br.Discard(n) // it is buffered
	return n, nil
}

// delimits says that what looks like the delimiter is one, by what follows on its line.
func (f *formFile) delimits() bool {
	b, err := f.br.Peek(len(f.delim) + 2)
	if err != nil {
		return true // the form ends here
	}
	switch b = b[len(f.delim):]; b[0] {
	case ' ', '\t', '\n':
		return true
	}
	return string(b) == "\r\n" || string(b) == "--"
}

// consumed is how much of the body was read, but for what is buffered.
func (f *formFile) consumed() int64 { return f.in.n - int64(f.br.Buffered()) }

// open returns the file and its size. A short file is read at once. The size of a longer
// one follows from the length of the body, if nothing but the end of the form is behind
// it, which is found out when it has been read.
func (f *formFile) open(contentLength int64) (io.Reader, int64, error) {
	start := f.consumed()
	head := make([]byte, formMemory)
	n, err := io.ReadFull(f, head)
	switch err { //nolint:errorlint // as io.ReadFull returns them
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		return bytes.NewReader(head[:n]), int64(n), nil
	default:
		return nil, 0, err
	}
	size := contentLength - start - int64(len(f.delim)) - int64(len("--\r\n"))
	return &longFile{io.MultiReader(bytes.NewReader(head), f), size}, size, nil
}

// longFile is a file that must be as long as was worked out.
type longFile struct {
	io.Reader
	left int64
}

func (l *longFile) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 || l.left > 0 && err == io.EOF { //nolint:errorlint // as io.MultiReader returns it
		return 0, errMalformedPOST.saying("The file must be the last field of the form.")
	}
	return n, err
}

// signedForm is the file of a form whose whole body is signed: it ends well only when the
// body does, where its hash is compared.
type signedForm struct {
	io.Reader
	rest io.Reader // what is behind the file
}

func (s *signedForm) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF { //nolint:errorlint // as readers return it
		if _, rest := io.Copy(io.Discard, s.rest); rest != nil {
			err = rest
		}
	}
	return n, err
}

// expand puts the file's name in place of ${filename} in all fields. What that adds is bounded
// like the fields themselves.
func (f *form) expand() error {
	const variable = "${filename}"
	name := f.filename
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	if name != "" {
		name = path.Base(name)
	}
	left := maxFormFields
	for field, value := range f.fields {
		if left -= strings.Count(value, variable) * len(name); left < 0 {
			return errMaxPostPreData
		}
		f.fields[field] = strings.ReplaceAll(value, variable, name)
	}
	return nil
}
