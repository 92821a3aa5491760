package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
)

// maxLine bounds a chunk header; it is also the size of the only buffer that payload may pass through.
const maxLine = 4 << 10

const chunkSignature = ";chunk-signature="

var lineReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxLine) }}

// chunkReader decodes an aws-chunked body and verifies its chain of signatures.
type chunkReader struct {
	br       *bufio.Reader // nil once released
	left     int64         // bytes of the current chunk that were not handed out
	total    int64         // bytes that no chunk header has announced yet
	inChunk  bool
	mode     PayloadMode
	key      *signingKey
	stamp    string
	scope    string
	previous [2 * sha256.Size]byte // signature of the chunk before, or of the request
	given    [2 * sha256.Size]byte // signature in the current chunk's header
	hash     hash.Hash             // of the current chunk; nil if chunks are not signed
	sum      [sha256.Size]byte
	msg      []byte
	declared []string // trailers that x-amz-trailer announced, lower case
	trailer  http.Header
}

func newChunkReader(res *Result, r *http.Request, length int64) (*chunkReader, error) {
	c := &chunkReader{mode: res.Mode, key: res.key, stamp: res.stamp, scope: res.scope, total: length}
	if c.mode.trailers() {
		var err error
		if c.declared, err = declaredTrailers(r.Header); err != nil {
			return nil, err
		}
	}
	if c.mode.chunksSigned() {
		if c.key == nil || copy(c.previous[:], res.seed) != len(c.previous) {
			return nil, ErrInvalidRequest
		}
		c.hash = sha256.New()
		c.msg = make([]byte, 0, 512)
	}
	c.br = lineReaders.Get().(*bufio.Reader)
	if r.Body == nil {
		c.br.Reset(http.NoBody)
	} else {
		c.br.Reset(r.Body)
	}
	return c, nil
}

// release gives the buffer back; the reader must not be read again.
func (c *chunkReader) release() {
	if c.br != nil {
		c.br.Reset(nil)
		lineReaders.Put(c.br)
		c.br = nil
	}
}

// Read returns bytes of one chunk at most. A chunk's signature is checked by the Read after its last byte.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.inChunk {
			if err := c.endChunk(); err != nil {
				return 0, err
			}
		}
		last, err := c.header()
		if err != nil {
			return 0, err
		}
		if last {
			return 0, c.end()
		}
	}
	n, err := c.br.Read(p[:min(int64(len(p)), c.left)]) // into p directly if bufio's buffer is empty and p not smaller
	c.left -= int64(n)
	if c.hash != nil {
		c.hash.Write(p[:n])
	}
	return n, truncated(err)
}

// truncated makes the end of the stream an error, wherever the framing still expects something.
func truncated(err error) error {
	if err == io.EOF {
		return ErrIncompleteBody
	}
	return err
}

// header reads "size[;chunk-signature=hex]CRLF".
func (c *chunkReader) header() (last bool, err error) {
	line, err := c.br.ReadSlice('\n')
	if err != nil {
		if err == bufio.ErrBufferFull {
			err = errChunk
		}
		return false, truncated(err)
	}
	size, rest, ok := parseChunkSize(line)
	if !ok {
		return false, errChunk
	}
	if c.hash != nil {
		if len(rest) != len(chunkSignature)+len(c.given) || string(rest[:len(chunkSignature)]) != chunkSignature {
			return false, errChunk
		}
		copy(c.given[:], rest[len(chunkSignature):])
	} else if len(rest) > 0 && rest[0] != ';' {
		return false, errChunk
	}
	if size > c.total {
		return false, errLength
	}
	c.total -= size
	c.left, c.inChunk = size, true
	return size == 0, nil
}

// parseChunkSize splits a chunk header into its size and what follows, without the CRLF.
func parseChunkSize(line []byte) (size int64, rest []byte, ok bool) {
	n := len(line)
	if n < 3 || line[n-2] != '\r' {
		return 0, nil, false
	}
	line = line[:n-2]
	i := 0
	for ; i < len(line) && unhex(line[i]) < 16; i++ {
		if i == 15 { // 60 bits: more cannot be meant
			return 0, nil, false
		}
		size = size<<4 | int64(unhex(line[i]))
	}
	return size, line[i:], i > 0
}

// endChunk reads the CRLF after a chunk's bytes and verifies its signature.
func (c *chunkReader) endChunk() error {
	c.inChunk = false
	crlf, err := c.br.Peek(2)
	if err != nil {
		return truncated(err)
	}
	if crlf[0] != '\r' || crlf[1] != '\n' {
		return errChunk
	}
	if _, err := c.br.Discard(2); err != nil {
		return err
	}
	return c.verifyChunk()
}

func (c *chunkReader) verifyChunk() error {
	if c.hash == nil {
		return nil
	}
	b := c.preamble("AWS4-HMAC-SHA256-PAYLOAD\n")
	b = append(b, EmptySHA256...)
	b = append(b, '\n')
	c.msg = hex.AppendEncode(b, c.hash.Sum(c.sum[:0]))
	c.hash.Reset()
	return c.check(string(c.given[:]))
}

// preamble begins the string to sign of a chunk or trailer.
func (c *chunkReader) preamble(kind string) []byte {
	b := append(c.msg[:0], kind...)
	b = append(b, c.stamp...)
	b = append(b, '\n')
	b = append(b, c.scope...)
	b = append(b, '\n')
	b = append(b, c.previous[:]...)
	return append(b, '\n')
}

// check compares the signature of c.msg with the one given and makes it the previous one.
func (c *chunkReader) check(given string) error {
	n := len(c.msg)
	c.msg = c.key.sign(c.msg, c.msg, &c.sum)
	if !equalHex(c.msg[n:], given) {
		return ErrSignatureDoesNotMatch
	}
	copy(c.previous[:], given)
	return nil
}

// end finishes the body after the header of the last chunk. It returns io.EOF if everything was right.
func (c *chunkReader) end() error {
	if c.total != 0 {
		return errLength
	}
	if err := c.verifyChunk(); err != nil {
		return err
	}
	if err := c.readTrailers(); err != nil {
		return err
	}
	return io.EOF
}

// declaredTrailers reads x-amz-trailer: the names of the trailers to come, only checksums.
func declaredTrailers(h http.Header) ([]string, error) {
	var names []string
	for _, v := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if len(names) == maxTrailers || !isChecksum(name) {
				return nil, errTrailerName.with(Field{"ArgumentName", "x-amz-trailer"}, Field{"ArgumentValue", clip(name)})
			}
			names = append(names, name)
		}
	}
	return names, nil
}
