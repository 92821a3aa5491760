package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
)

const (
	maxTrailers      = 16
	maxTrailerBytes  = 8 << 10
	trailerSignature = "x-amz-trailer-signature"
)

func isChecksum(name string) bool {
	_, ok := checksum.FromHeader(name)
	return ok
}

// readTrailers reads to the end of the body: the trailers in the modes that have them, else nothing but line ends. Every trailer
// that was announced must come, once, and no other; in the signed mode the signature must come last.
func (c *chunkReader) readTrailers() error {
	var names, values []string
	signature := ""
	for size := 0; ; {
		line, err := c.br.ReadSlice('\n')
		if err != nil && err != io.EOF {
			if err == bufio.ErrBufferFull {
				err = ErrMalformedTrailer
			}
			return err
		}
		if size += len(line); size > maxTrailerBytes {
			return ErrMalformedTrailer
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			name, value, ok := parseTrailer(text)
			switch {
			case !ok || !c.mode.trailers() || signature != "":
				return ErrMalformedTrailer
			case name == trailerSignature && c.hash != nil:
				signature = value
			case !slices.Contains(c.declared, name) || slices.Contains(names, name):
				return ErrMalformedTrailer
			default:
				names, values = append(names, name), append(values, value)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if !c.mode.trailers() {
		return nil
	}
	for _, name := range c.declared {
		if !slices.Contains(names, name) {
			return ErrMalformedTrailer
		}
	}
	if c.hash != nil {
		if err := c.verifyTrailers(names, values, signature); err != nil {
			return err
		}
	}
	c.keepTrailers(names, values)
	return nil
}

func parseTrailer(line []byte) (name, value string, ok bool) {
	name, value, ok = strings.Cut(string(line), ":")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	return name, value, ok && isLowerToken(name) && value != ""
}

// verifyTrailers checks the signature over "name:value LF" of every trailer in the order sent, which is sorted order when there is
// but one, as S3's clients have it.
func (c *chunkReader) verifyTrailers(names, values []string, signature string) error {
	var b []byte
	for i := range names {
		b = append(b, names[i]...)
		b = append(b, ':')
		b = append(b, values[i]...)
		b = append(b, '\n')
	}
	c.sum = sha256.Sum256(b)
	c.msg = hex.AppendEncode(c.preamble("AWS4-HMAC-SHA256-TRAILER\n"), c.sum[:])
	return c.check(signature)
}

func (c *chunkReader) keepTrailers(names, values []string) {
	if len(names) == 0 {
		return
	}
	c.trailer = make(http.Header, len(names))
	for i := range names {
		c.trailer.Set(names[i], values[i])
	}
}
