package s3api

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net/http"
	"strings"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/store"
)

// promise is what a client says of its body's checksums.
type promise struct {
	md5       []byte // Content-MD5; nil if not given
	algorithm checksum.Algorithm
	sum       []byte // nil when it comes in the trailer
	trailer   bool
}

// readPromise reads Content-MD5, x-amz-checksum-*, x-amz-trailer and
// x-amz-sdk-checksum-algorithm.
func readPromise(h http.Header) (promise, error) {
	var p promise
	if v := h["Content-Md5"]; len(v) > 0 {
		sum, err := base64.StdEncoding.DecodeString(v[0])
		if err != nil || len(sum) != md5.Size {
			return p, errInvalidDigest.with("Content-MD5", clip(v[0]))
		}
		p.md5 = sum
	}
	for name, v := range h {
		if len(name) <= len(checksum.HeaderPrefix) || name[:len(checksum.HeaderPrefix)] != checksum.HeaderPrefix {
			continue
		}
		a, ok := checksum.FromHeader(name)
		if !ok || len(v) == 0 {
			continue
		}
		if p.algorithm != checksum.None || len(v) > 1 {
			return p, errInvalidRequest.saying("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		sum, err := decodeSum(a, v[0])
		if err != nil {
			return p, err
		}
		p.algorithm, p.sum = a, sum
	}
	if err := p.readTrailer(h); err != nil {
		return p, err
	}
	return p, p.readSDKAlgorithm(h)
}

func decodeSum(a checksum.Algorithm, value string) ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(sum) != a.Size() {
		return nil, errInvalidRequest.saying("Value for " + strings.ToLower(a.Header()) + " header is invalid.")
	}
	return sum, nil
}

func (p *promise) readTrailer(h http.Header) error {
	for _, v := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			a, ok := checksum.FromHeader(strings.TrimSpace(name))
			if !ok {
				continue // sigv4 refuses what it does not know
			}
			if p.algorithm != checksum.None {
				return errInvalidRequest.saying("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
			}
			p.algorithm, p.trailer = a, true
		}
	}
	return nil
}

func (p *promise) readSDKAlgorithm(h http.Header) error {
	v := h["X-Amz-Sdk-Checksum-Algorithm"]
	if len(v) == 0 {
		return nil
	}
	a, ok := checksum.Parse(v[0])
	switch {
	case !ok:
		return errInvalidRequest.saying("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case p.algorithm == checksum.None && p.md5 == nil:
		return errInvalidRequest.saying("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case p.algorithm != checksum.None && p.algorithm != a:
		return badChecksum(a) // S3's API model names this code
	}
	return nil
}

func badChecksum(a checksum.Algorithm) error {
	return errBadDigest.saying("The " + a.String() + " you specified did not match the calculated checksum.")
}

// checker returns the function that compares the promise with what was computed,
// after the body's end; nil when nothing was promised.
func (c *call) checker(p *promise) func(store.Sums) error {
	if p.md5 == nil && p.algorithm == checksum.None {
		return nil
	}
	return func(s store.Sums) error {
		if p.md5 != nil && subtle.ConstantTimeCompare(p.md5, s.MD5[:]) != 1 {
			return errBadDigest
		}
		if p.algorithm == checksum.None {
			return nil
		}
		if err := c.takeTrailer(p); err != nil {
			return err
		}
		if s.Digest.Algorithm != p.algorithm || subtle.ConstantTimeCompare(p.sum, s.Digest.Sum) != 1 {
			return badChecksum(p.algorithm)
		}
		return nil
	}
}

// takeTrailer completes a promise whose sum came behind the body.
func (c *call) takeTrailer(p *promise) error {
	if !p.trailer {
		return nil
	}
	v := c.body.Trailer()[p.algorithm.Header()]
	if len(v) != 1 {
		return errInvalidRequest.saying("The trailer that x-amz-trailer announces is missing.")
	}
	sum, err := decodeSum(p.algorithm, v[0])
	if err != nil {
		return err
	}
	p.sum = sum
	return nil
}

// readDocument reads a body of at most limit bytes and checks what was promised
// of it. required is for operations that S3 refuses without a checksum.
func (c *call) readDocument(limit int64, required bool) ([]byte, error) {
	if c.document.data != nil {
		return c.document.data, nil // authorization has read it
	}
	p, err := readPromise(c.r.Header)
	if err != nil {
		return nil, err
	}
	if required && p.md5 == nil && p.algorithm == checksum.None {
		return nil, errInvalidRequest.saying("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	buf, err := c.readBody(limit)
	if err != nil {
		return nil, err
	}
	if check := c.checker(&p); check != nil {
		s := store.Sums{}
		if p.md5 != nil {
			s.MD5 = md5.Sum(buf)
		}
		if p.algorithm != checksum.None {
			hash := p.algorithm.New()
			hash.Write(buf)
			s.Digest.Algorithm, s.Digest.Sum = p.algorithm, hash.Sum(nil)
		}
		return buf, check(s)
	}
	return buf, nil
}

// readBody reads a whole body of at most limit bytes.
func (c *call) readBody(limit int64) ([]byte, error) {
	if err := c.openBody(); err != nil {
		return nil, err
	}
	n := c.body.Length()
	if n < 0 {
		return nil, errMissingContentLength
	}
	if n > limit {
		return nil, errMaxMessageLength.with("MaxMessageLengthBytes", itoa64(limit))
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(c.body, buf); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, errIncompleteBody
		}
		return nil, err
	}
	if err := c.body.Finish(); err != nil {
		return nil, err
	}
	return buf, nil
}
