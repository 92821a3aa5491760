package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"strings"
)

// maxFrame is room for a chunk header with its signature and the CRLF after the chunk.
const maxFrame = 16 + len(chunkSignature) + 2*sha256.Size + 4

// encoder turns payload into an aws-chunked body, a chunk at a time.
type encoder struct {
	st       Stream
	start    seed
	chain    chunkReader // for its preamble and state, which both sides share
	checksum hash.Hash   // nil without trailer
	left     int64
	buf      []byte // header room, payload, CRLF or trailer
	out      []byte // part of buf that was not read yet
	last     bool
}

func newEncoder(st Stream, start seed) *encoder {
	e := &encoder{st: st, start: start, left: st.Size, buf: make([]byte, maxFrame+int(min(int64(st.ChunkSize), st.Size))+512)}
	e.chain = chunkReader{mode: st.Mode, key: start.key, stamp: start.stamp, scope: start.scope}
	copy(e.chain.previous[:], start.signature)
	if st.Mode.trailers() {
		e.checksum = st.Checksum.New()
	}
	return e
}

// Read fails with io.ErrUnexpectedEOF if the payload is shorter than Stream.Size.
func (e *encoder) Read(p []byte) (int, error) {
	if len(e.out) == 0 {
		if e.last {
			return 0, io.EOF
		}
		if err := e.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

// next encodes one chunk: the payload is read to its place in buf, the header is put before it.
func (e *encoder) next() error {
	n := int(min(int64(e.st.ChunkSize), e.left))
	payload := e.buf[maxFrame : maxFrame+n]
	if _, err := io.ReadFull(e.st.Body, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	e.left -= int64(n)
	if e.checksum != nil {
		e.checksum.Write(payload)
	}
	header := strconv.FormatInt(int64(n), 16)
	if e.st.Mode.chunksSigned() {
		header += chunkSignature + e.signChunk(payload)
	}
	header += "\r\n"
	copy(e.buf[maxFrame-len(header):], header)
	tail := "\r\n"
	if n == 0 {
		e.last = true
		tail = e.trailer() + tail
	}
	end := maxFrame + n + copy(e.buf[maxFrame+n:], tail)
	e.out = e.buf[maxFrame-len(header) : end]
	return nil
}

func (e *encoder) signChunk(payload []byte) string {
	sum := sha256.Sum256(payload)
	b := append(e.chain.preamble("AWS4-HMAC-SHA256-PAYLOAD\n"), EmptySHA256+"\n"...)
	return e.signLink(hex.AppendEncode(b, sum[:]))
}

func (e *encoder) signLink(msg []byte) string {
	var sum [sha256.Size]byte
	e.chain.msg = msg[:0]
	e.start.key.sign(e.chain.previous[:0], msg, &sum)
	return string(e.chain.previous[:])
}

func (e *encoder) trailer() string {
	if e.checksum == nil {
		return ""
	}
	line := strings.ToLower(e.st.Checksum.Header()) + ":" + base64.StdEncoding.EncodeToString(e.checksum.Sum(nil))
	if !e.st.Mode.chunksSigned() {
		return line + "\r\n"
	}
	sum := sha256.Sum256([]byte(line + "\n"))
	msg := hex.AppendEncode(e.chain.preamble("AWS4-HMAC-SHA256-TRAILER\n"), sum[:])
	return line + "\r\n" + trailerSignature + ":" + e.signLink(msg) + "\r\n"
}

// encodedLength is the length of the body that an encoder makes.
func (st Stream) encodedLength() int64 {
	frame := func(n int64) int64 {
		size := int64(len(strconv.FormatInt(n, 16))) + 4 + n
		if st.Mode.chunksSigned() {
			size += int64(len(chunkSignature) + 2*sha256.Size)
		}
		return size
	}
	chunk := int64(st.ChunkSize)
	total := st.Size/chunk*frame(chunk) + frame(0)
	if rest := st.Size % chunk; rest > 0 {
		total += frame(rest)
	}
	if st.Mode.trailers() {
		total += int64(len(st.Checksum.Header()) + 1 + base64.StdEncoding.EncodedLen(st.Checksum.Size()) + 2)
		if st.Mode.chunksSigned() {
			total += int64(len(trailerSignature) + 1 + 2*sha256.Size + 2)
		}
	}
	return total
}
