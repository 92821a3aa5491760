package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/sio"

	"github.com/weftstore/weft/metadata"
)

// SealedStream is a byte range of an encrypted object. It reads and decrypts only the
// packages that the range touches. Not safe for concurrent use. Close it.
type SealedStream struct {
	key *Key
	st  *Stream // finds the parts and pins them; it reads nothing itself
	at  int64   // next byte of the object
	err error

	cipher *Stream   // packages of the current part
	plain  io.Reader // decrypts cipher, for Read
	skip   int64     // bytes of the first package that come before the range
	left   int64     // bytes of the range that are in cipher
}

// ReadSealed is Read of an object that was stored with a Seal. Bytes that do not open
// with the key are ErrDamaged and are never given out.
func (o *Object) ReadSealed(ctx context.Context, key *Key, off, n int64) (*SealedStream, error) {
	st, err := o.Read(ctx, off, 0) // checks off
	if err != nil {
		return nil, err
	}
	if n < 0 || off+n > o.Version.Size || off+n < off {
		st.Close()
		return nil, fmt.Errorf("read %d bytes at %d of %d: range outside the object", n, off, o.Version.Size)
	}
	st.end = off + n
	s := &SealedStream{key: key, st: st, at: off}
	if n > 0 {
		if err := s.open(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// open begins with the part that has the next byte. io.EOF at the end of the range.
func (s *SealedStream) open() error {
	s.shut()
	if s.at >= s.st.end {
		return io.EOF
	}
	s.st.next = s.at
	span, err := s.st.part()
	if err != nil {
		return err
	}
	from := s.at - span.Start
	to := min(s.st.end-span.Start, span.Part.Size)
	if !span.Part.Sealed {
		return fmt.Errorf("part %d of an encrypted object is not sealed: %w", span.Part.Number, metadata.ErrCorrupt)
	}
	first := from / sealPackage
	size := storedSize(&span.Part)
	c := &Stream{o: s.st.o, next: first * (sealPackage + sealOverhead), one: [1]metadata.PartSpan{{Part: span.Part}}, looked: size}
	c.end = min((to+sealPackage-1)/sealPackage*(sealPackage+sealOverhead), size)
	c.one[0].Part.Size, c.one[0].Part.Sealed = size, false // as the bytes of the stream are counted
	c.spans = c.one[:]
	c.ctx, c.cancel = context.WithCancel(s.st.ctx)
	s.cipher, s.skip, s.left = c, from-first*sealPackage, to-from
	return c.advance()
}

func (s *SealedStream) shut() {
	if s.cipher != nil {
		_ = s.cipher.Close() // reading, nothing to lose
		s.cipher, s.plain = nil, nil
	}
}

// config is that of the packages in cipher.
func (s *SealedStream) config() (sio.Config, error) {
	c, err := s.key.config(s.cipher.one[0].Part.Set)
	c.SequenceNumber = uint32((s.at - s.st.spans[0].Start) / sealPackage)
	return c, err
}

// WriteTo writes what is left of the range to w.
func (s *SealedStream) WriteTo(w io.Writer) (total int64, err error) {
	if s.plain != nil { // Read has begun with the part
		return io.Copy(w, onlyReader{s})
	}
	for s.err == nil {
		if s.cipher == nil {
			if s.err = s.open(); s.err != nil {
				break
			}
		}
		var n int64
		n, s.err = s.writePart(w)
		total += n
		s.at += n
		s.shut()
	}
	if s.err == io.EOF {
		return total, nil
	}
	return total, s.err
}

func (s *SealedStream) writePart(w io.Writer) (int64, error) {
	c, err := s.config()
	if err != nil {
		return 0, err
	}
	out := &rangeWriter{w: w, skip: s.skip, left: s.left}
	dec, err := sio.DecryptWriter(out, c)
	if err != nil {
		return 0, err
	}
	_, err = s.cipher.WriteTo(dec)
	if cerr := dec.Close(); err == nil {
		err = cerr
	}
	if err == nil && out.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return s.left - out.left, opened(err)
}

// Read copies; WriteTo does it one time less.
func (s *SealedStream) Read(p []byte) (int, error) {
	for s.err == nil {
		if s.left == 0 || s.cipher == nil {
			if s.err = s.open(); s.err != nil {
				break
			}
		}
		if s.plain == nil {
			if s.err = s.decrypt(); s.err != nil {
				break
			}
		}
		n, err := s.plain.Read(p[:min(int64(len(p)), s.left)])
		s.at += int64(n)
		s.left -= int64(n)
		if err == io.EOF && s.left > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != io.EOF {
			s.err = opened(err)
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, s.err
}

func (s *SealedStream) decrypt() error {
	c, err := s.config()
	if err != nil {
		return err
	}
	if s.plain, err = sio.DecryptReader(onlyReader{s.cipher}, c); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, s.plain, s.skip); err != nil {
		return opened(err)
	}
	return nil
}

// opened makes ErrDamaged of what does not decrypt.
func opened(err error) error {
	var bad sio.Error
	if errors.As(err, &bad) {
		return fmt.Errorf("decrypt: %w: %w", ErrDamaged, err)
	}
	return err
}

// Close lets go of the memory.
func (s *SealedStream) Close() error {
	s.shut()
	if s.err == nil {
		s.err = ErrClosed
	}
	return s.st.Close()
}

// onlyReader hides WriteTo.
type onlyReader struct{ io.Reader }

// rangeWriter passes on left bytes after the first skip.
type rangeWriter struct {
	w          io.Writer
	skip, left int64
}

func (o *rangeWriter) Write(p []byte) (int, error) {
	n := len(p)
	cut := min(o.skip, int64(n))
	o.skip -= cut
	p = p[cut:]
	p = p[:min(int64(len(p)), o.left)]
	if len(p) == 0 {
		return n, nil
	}
	m, err := o.w.Write(p)
	o.left -= int64(m)
	if err != nil {
		return int(cut) + m, err
	}
	return n, nil
}
