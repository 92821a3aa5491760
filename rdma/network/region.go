package network

import (
	"errors"
	"fmt"
	"sync"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// memory implements rdma.Region.
type memory struct {
	t     *Transport
	key   uint32
	bytes []byte
	regs  []wire.Memory

	once   sync.Once
	mu     sync.RWMutex
	closed bool
	err    error
}

// Register implements rdma.Transport.
func (t *Transport) Register(n int) (rdma.Region, error) {
	if err := t.open(); err != nil {
		return nil, fmt.Errorf("register %d bytes: %w", n, err)
	}
	b, err := region.Map(n, t.o.HugePages, t.o.Logger)
	if err != nil {
		return nil, err
	}
	m := &memory{t: t, bytes: b}
	t.mu.Lock()
	for m.key == 0 || t.regions[m.key] != nil {
		m.key = region.RandomKey()
	}
	t.regions[m.key] = m
	t.mapped += int64(len(b))
	t.mu.Unlock()
	m.regs, err = t.registerAll(m.key, b)
	if err == nil {
		err = t.open()
	}
	if err != nil {
		return nil, fmt.Errorf("register %d bytes: %w", n, errors.Join(err, m.Close()))
	}
	return m, nil
}

// registerAll makes b known to all wires.
func (t *Transport) registerAll(key uint32, b []byte) ([]wire.Memory, error) {
	var regs []wire.Memory
	for _, n := range t.nets {
		r, err := n.Register(key, b)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", n.Name(), err), closeAll(regs))
		}
		regs = append(regs, r)
	}
	return regs, nil
}

func closeAll(regs []wire.Memory) error {
	var errs []error
	for _, r := range regs {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// Bytes implements rdma.Region.
func (m *memory) Bytes() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil
	}
	return m.bytes
}

// Remote implements rdma.Region.
func (m *memory) Remote(off, n int) rdma.Remote { return region.Remote(m.bytes, m.key, off, n) }

// Close implements rdma.Region. Memory that a wire cannot let go of stays mapped.
func (m *memory) Close() error {
	m.once.Do(func() {
		m.mu.Lock()
		m.closed = true
		m.mu.Unlock()
		if m.err = closeAll(m.regs); m.err == nil {
			m.err = region.Unmap(m.bytes)
		}
		m.t.mu.Lock()
		delete(m.t.regions, m.key)
		m.t.mapped -= int64(len(m.bytes))
		m.t.mu.Unlock()
	})
	return m.err
}
