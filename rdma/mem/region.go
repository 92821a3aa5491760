package mem

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
)

// memory is a registered region.
type memory struct {
	t      *Transport
	bytes  []byte
	entry  *region.Entry
	closed atomic.Bool
}

// Register implements rdma.Transport.
func (t *Transport) Register(n int) (rdma.Region, error) {
	b, err := region.Map(n, false, nil)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("register %d bytes: %w", n, errors.Join(rdma.ErrClosed, region.Unmap(b)))
	}
	t.stats.registered.Add(int64(len(b)))
	return &memory{t: t, bytes: b, entry: t.regions.AddNew(b)}, nil
}

func (m *memory) Bytes() []byte {
	if m.closed.Load() {
		return nil
	}
	return m.bytes
}

func (m *memory) Remote(off, n int) rdma.Remote { return region.Remote(m.bytes, m.entry.Key(), off, n) }

func (m *memory) Close() error {
	again := m.closed.Swap(true)
	m.entry.Remove()
	if again {
		return nil
	}
	m.t.stats.registered.Add(-int64(len(m.bytes)))
	// The slice header stays: len is what late range checks read.
	return region.Unmap(m.bytes)
}
