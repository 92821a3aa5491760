package verbs

import (
	"sync"
	"sync/atomic"
)

// guard keeps an object of C from being used after it was destroyed and from being destroyed under its children.
type guard struct {
	mu       sync.RWMutex // read-held by every use
	closed   bool
	children atomic.Int32
}

// enter begins a use, which leave ends. A use never waits.
func (g *guard) enter() error {
	g.mu.RLock()
	if g.closed {
		g.mu.RUnlock()
		return ErrClosed
	}
	return nil
}

func (g *guard) leave() { g.mu.RUnlock() }

// adopt counts a child that make makes. The child calls release when it is gone.
func (g *guard) adopt(make func() error) error {
	if err := g.enter(); err != nil {
		return err
	}
	defer g.leave()
	g.children.Add(1)
	err := make()
	if err != nil {
		g.children.Add(-1)
	}
	return err
}

func (g *guard) release() { g.children.Add(-1) }

// shut closes: true for the one who must destroy the object, whose uses have all ended then.
func (g *guard) shut() (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false, nil
	}
	if g.children.Load() > 0 {
		return false, ErrBusy
	}
	g.closed = true
	return true, nil
}
