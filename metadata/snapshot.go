package metadata

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The snapshot format; doc.go has the table.
const (
	snapshotMagic  = "WEFTMETA"
	snapshotFormat = 1
	snapshotHead   = 8 + 4 + 4
	frameHead      = 2 + 4
)

// Restore writes at most this many pairs and bytes in one transaction, of which a single pair
// may be more: etcd takes 1.5 MiB with what surrounds them.
const (
	restorePairs = 1000
	restoreBytes = 1 << 20
)

// ErrNotEmpty is returned by Restore when the engine holds something already.
var ErrNotEmpty = errors.New("metadata engine is not empty")

// summer writes and keeps the checksum of all that was written.
type summer struct {
	w   *bufio.Writer
	sum uint32
	buf [frameHead + 8]byte
}

func (s *summer) write(b []byte) error {
	s.sum = crc32.Update(s.sum, castagnoli, b)
	_, err := s.w.Write(b)
	return err
}

// seal writes the running checksum, which the next one covers too.
func (s *summer) seal() error {
	return s.write(binary.LittleEndian.AppendUint32(s.buf[:0], s.sum))
}

func (s *summer) frame(key, value []byte) error {
	head := binary.LittleEndian.AppendUint16(s.buf[:0], uint16(len(key)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(value)))
	for _, b := range [][]byte{head, key, value} {
		if err := s.write(b); err != nil {
			return err
		}
	}
	return s.seal()
}

// SnapshotTo writes all there is at one moment, whatever the engine, or at one for each
// engine. The snapshots of the engines are held until w has taken everything.
func (db *DB) SnapshotTo(ctx context.Context, w io.Writer) error {
	return db.viewAll(ctx, "write snapshot", func(all []Reader, _ *scratch) error {
		s := &summer{w: bufio.NewWriterSize(w, 64<<10)}
		head := binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotFormat)
		if err := s.write(append(head, 0, 0, 0, 0)); err != nil {
			return err
		}
		var count uint64
		err := merge(ctx, all, func(k, v []byte) error {
			count++
			return s.frame(k, v)
		})
		if err != nil {
			return err
		}
		end := append(s.buf[:0], make([]byte, frameHead)...)
		if err := s.write(binary.LittleEndian.AppendUint64(end, count)); err != nil {
			return err
		}
		if err := s.seal(); err != nil {
			return err
		}
		return s.w.Flush()
	})
}

// Restore reads a snapshot into an empty engine; ErrNotEmpty otherwise. ErrCorrupt
// when the snapshot is damaged or cut short: then what is in the engine is to be
// thrown away.
func Restore(ctx context.Context, r io.Reader, into KV) error {
	empty := true
	err := into.View(ctx, func(r Reader) error {
		empty = true
		return r.Scan([]byte{0}, nil, func(_, _ []byte) bool { empty = false; return false })
	})
	if err == nil && !empty {
		err = ErrNotEmpty
	}
	var batch []pair
	size := 0
	flush := func() error {
		err := into.Update(ctx, func(t Txn) error {
			for _, p := range batch {
				if err := t.Put(p.key, p.value); err != nil {
					return err
				}
			}
			return nil
		})
		batch, size = batch[:0], 0
		return err
	}
	if err == nil {
		err = readSnapshot(r, func(k, v []byte) error {
			if size += len(k) + len(v); len(batch) > 0 && (size > restoreBytes || len(batch) == restorePairs) {
				if err := flush(); err != nil {
					return err
				}
				size = len(k) + len(v)
			}
			batch = append(batch, pair{k, v})
			return nil
		})
	}
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}

// snapshotReader checks the running checksum.
type snapshotReader struct {
	r   *bufio.Reader
	sum uint32
}

// read takes n bytes. Long ones are read by and by, so that a wrong length does not
// cost memory that the input does not fill.
func (s *snapshotReader) read(n int) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(min(n, 64<<10))
	if _, err := io.CopyN(&buf, s.r, int64(n)); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("snapshot cut short: %w", ErrCorrupt)
		}
		return nil, err
	}
	s.sum = crc32.Update(s.sum, castagnoli, buf.Bytes())
	return buf.Bytes(), nil
}

func (s *snapshotReader) checksum() error {
	want := s.sum
	b, err := s.read(crcLen)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b) != want {
		return fmt.Errorf("checksum of snapshot: %w", ErrCorrupt)
	}
	return nil
}

// readSnapshot calls fn, which keeps what it gets, for every pair in order, each
// after its checksum was found right.
func readSnapshot(r io.Reader, fn func(key, value []byte) error) error {
	s := &snapshotReader{r: bufio.NewReaderSize(r, 64<<10)}
	head, err := s.read(snapshotHead)
	if err != nil {
		return err
	}
	if string(head[:8]) != snapshotMagic {
		return fmt.Errorf("not a metadata snapshot: %w", ErrCorrupt)
	}
	if f := binary.LittleEndian.Uint32(head[8:]); f != snapshotFormat {
		return fmt.Errorf("snapshot of format %d: %w", f, ErrCorrupt)
	}
	var last []byte
	for count := uint64(0); ; count++ {
		head, err := s.read(frameHead)
		if err != nil {
			return err
		}
		klen, vlen := int(binary.LittleEndian.Uint16(head)), int(binary.LittleEndian.Uint32(head[2:]))
		if klen == 0 && vlen == 0 {
			return s.end(count)
		}
		if klen == 0 || klen > MaxKVKey || vlen > MaxKVValue {
			return fmt.Errorf("pair of %d and %d bytes in snapshot: %w", klen, vlen, ErrCorrupt)
		}
		b, err := s.read(klen + vlen)
		if err != nil {
			return err
		}
		if err := s.checksum(); err != nil {
			return err
		}
		key, value := b[:klen:klen], b[klen:]
		if bytes.Compare(key, last) <= 0 {
			return fmt.Errorf("keys of snapshot out of order: %w", ErrCorrupt)
		}
		last = key
		if err := fn(key, value); err != nil {
			return err
		}
	}
}

func (s *snapshotReader) end(count uint64) error {
	b, err := s.read(8)
	if err != nil {
		return err
	}
	if err := s.checksum(); err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint64(b); n != count {
		return fmt.Errorf("snapshot of %d pairs has %d: %w", n, count, ErrCorrupt)
	}
	return nil
}
