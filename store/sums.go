package store

import (
	"crypto/md5"
	"encoding/binary"
	"hash"
	"sync/atomic"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/rdma"
)

// hashAside is the body size from which hashing gets a goroutine of its own, beside
// encoding and writing. MD5 of that much takes about 0.3 ms.
const hashAside = 256 << 10

// sharedBlock is a block that several work on. The last to let go releases it.
type sharedBlock struct {
	*rdma.Block
	refs atomic.Int32
}

func newShared(b *rdma.Block, refs int32) *sharedBlock {
	s := &sharedBlock{Block: b}
	s.refs.Store(refs)
	return s
}

func (s *sharedBlock) hold() { s.refs.Add(1) }

func (s *sharedBlock) letGo() {
	if s.refs.Add(-1) == 0 {
		s.Release()
	}
}

// summer computes the sums of a body from its data blocks in order.
type summer struct {
	alg   checksum.Algorithm
	md5   hash.Hash
	other hash.Hash // nil when MD5 and CRC64 are all that is wanted
	crc   uint64    // of what was added, from the unit checksums

	jobs chan sumJob // nil: hashed by the caller
	done chan struct{}
}

type sumJob struct {
	block *sharedBlock
	n     int
}

// newSummer starts a summer of a body of size bytes. End it with finish or stop.
func newSummer(alg checksum.Algorithm, size int64) *summer {
	if alg == checksum.None {
		alg = checksum.CRC64NVME
	}
	h := &summer{alg: alg, md5: md5.New()}
	if alg != checksum.CRC64NVME && alg != checksum.MD5 {
		h.other = alg.New()
	}
	if size > hashAside {
		h.jobs = make(chan sumJob, 8)
		h.done = make(chan struct{})
		go h.run()
	}
	return h
}

func (h *summer) run() {
	defer close(h.done)
	for j := range h.jobs {
		h.hash(j.block.Bytes()[:j.n])
		j.block.letGo()
	}
}

func (h *summer) hash(p []byte) {
	h.md5.Write(p)
	if h.other != nil {
		h.other.Write(p)
	}
}

// add takes the first n bytes of a block of which all of data is written to the
// targets and whose unit checksums are units. It holds the block while it needs it. A nil summer
// sums nothing.
func (h *summer) add(b *sharedBlock, data []byte, n int, units []uint64) {
	if h == nil || n == 0 {
		return
	}
	h.crc = joinCRCs(h.crc, data, n, units)
	if h.jobs == nil {
		h.hash(data[:n])
		return
	}
	b.hold()
	h.jobs <- sumJob{b, n}
}

// stop ends the goroutine and waits for it. Idempotent.
func (h *summer) stop() {
	if h != nil && h.jobs != nil {
		close(h.jobs)
		<-h.done
		h.jobs = nil
	}
}

// finish is stop and the sums.
func (h *summer) finish() Sums {
	h.stop()
	var s Sums
	h.md5.Sum(s.MD5[:0])
	s.Digest = metadata.Digest{Algorithm: h.alg, Type: checksum.FullObject}
	switch {
	case h.alg == checksum.CRC64NVME:
		s.Digest.Sum = binary.BigEndian.AppendUint64(nil, h.crc)
	case h.alg == checksum.MD5:
		s.Digest.Sum = append([]byte(nil), s.MD5[:]...)
	default:
		s.Digest.Sum = h.other.Sum(nil)
	}
	return s
}
