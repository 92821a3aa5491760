package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
)

// MaxBodyLength is S3's limit for the payload of one PUT or one part, in bytes.
const MaxBodyLength = 5 << 30

// Body is a request's payload, decoded and verified while it is read. Nothing that it gave counts before a Read has returned io.EOF
// or Finish has returned nil; see the package comment. It belongs to one goroutine.
type Body struct {
	src     io.Reader
	closer  io.Closer
	length  int64
	read    int64
	err     error // sticky
	hash    hash.Hash
	want    [sha256.Size]byte
	chunked *chunkReader // nil if the body has no framing
}

// Body wraps r.Body according to the payload mode. r is the request that was verified. Errors are [*Error]s about headers: a decoded
// length that is missing, no number or too large, or an unknown trailer.
func (res *Result) Body(r *http.Request) (*Body, error) {
	src := r.Body
	if src == nil {
		src = http.NoBody
	}
	b := &Body{src: src, closer: src, length: r.ContentLength}
	if res.Mode.Chunked() {
		return b, b.unframe(res, r)
	}
	if b.length > MaxBodyLength {
		return nil, ErrEntityTooLarge
	}
	// A client that announces a decoded length has framed its body; storing the frames as data would be a wrong success.
	if d := r.Header.Get("X-Amz-Decoded-Content-Length"); d != "" && d != strconv.FormatInt(b.length, 10) {
		return nil, ErrInvalidRequest.saying("x-amz-decoded-content-length requires a streaming x-amz-content-sha256")
	}
	if res.Mode == PayloadSigned {
		b.hash, b.want = sha256.New(), res.sum
	}
	return b, nil
}

func (b *Body) unframe(res *Result, r *http.Request) error {
	n, err := decodedLength(r.Header)
	if err != nil {
		return err
	}
	b.length = n
	b.chunked, err = newChunkReader(res, r, n)
	return err
}

func decodedLength(h http.Header) (int64, error) {
	v := h["X-Amz-Decoded-Content-Length"]
	if len(v) == 0 {
		return 0, ErrMissingContentLength
	}
	n, err := strconv.ParseUint(v[0], 10, 63)
	if err != nil || len(v) > 1 {
		return 0, ErrInvalidArgument.saying("x-amz-decoded-content-length must be a number of bytes").
			with(Field{"ArgumentName", "x-amz-decoded-content-length"}, Field{"ArgumentValue", clip(v[0])})
	}
	if n > MaxBodyLength {
		return 0, ErrEntityTooLarge
	}
	return int64(n), nil
}

// Length returns the number of payload bytes that the request announces, -1 if it does not say (which S3 refuses for PUTs).
func (b *Body) Length() int64 { return b.length }

// Trailer returns the trailers of the body in MIME form, without the signature. It is nil before io.EOF and if there are none.
func (b *Body) Trailer() http.Header {
	if b.chunked == nil || b.err != io.EOF {
		return nil
	}
	return b.chunked.trailer
}

// Read reads payload into p. With len(p) >= 4 KiB, bytes that are not already in net/http's buffer, or in the 4 KiB one for
// chunk headers, go from the connection into p directly. After an error, the first one is returned again.
func (b *Body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.chunked != nil {
		n, b.err = b.chunked.Read(p)
	} else {
		n, b.err = b.readPlain(p)
	}
	if b.err != nil && b.chunked != nil {
		b.chunked.release()
	}
	b.err = connectionError(b.err)
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

func (b *Body) readPlain(p []byte) (int, error) {
	n, err := b.src.Read(p)
	b.read += int64(n)
	if b.hash != nil {
		b.hash.Write(p[:n])
	}
	if b.read > MaxBodyLength {
		return 0, ErrEntityTooLarge
	}
	if err != io.EOF {
		return n, err
	}
	if b.length >= 0 && b.read != b.length {
		return n, ErrIncompleteBody
	}
	if b.hash != nil {
		var sum [sha256.Size]byte
		if subtle.ConstantTimeCompare(b.hash.Sum(sum[:0]), b.want[:]) != 1 {
			return n, ErrContentSHA256Mismatch
		}
	}
	return n, io.EOF
}

// connectionError makes a body that ends early the client's error. Others, such as timeouts, stay what they are.
func connectionError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncompleteBody
	}
	return err
}

// Finish expects the end of the body: it returns nil if all of it has been read and everything was right, else the first error.
// Payload that is left is an [ErrIncompleteBody] error.
func (b *Body) Finish() error {
	var p [1]byte
	n, err := b.Read(p[:])
	switch {
	case n > 0:
		b.err = errLength
		return b.err
	case err == io.EOF:
		return nil
	default:
		return err
	}
}

// Close closes the request's body. Reads after it fail. It is idempotent.
func (b *Body) Close() error {
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	if b.chunked != nil {
		b.chunked.release()
	}
	return b.closer.Close()
}
