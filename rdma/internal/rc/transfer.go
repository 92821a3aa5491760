package rc

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/internal/region"
	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

// Kinds of messages besides those of package wire.
const (
	kindResolve  = wire.Own
	kindResolved = wire.Own + 1

	resolvedSize  = 20
	statusUnknown = 1
)

// maxKeys bounds the keys that a lane remembers.
const maxKeys = 1024

// window is memory of the peer, under the key of this lane's device.
type window struct {
	base, len uint64
	rkey      uint32
}

// keys remembers the memory behind keys of the peer.
type keys struct {
	turn chan struct{} // held by the one question that is under way

	mu     sync.Mutex
	known  map[uint32]window
	asking uint32
	answer chan *window // of the question; nil in it when there is no such key
}

func (k *keys) init() {
	k.turn = make(chan struct{}, 1)
	k.known = map[uint32]window{}
}

func (k *keys) find(key uint32) (window, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, ok := k.known[key]
	return w, ok
}

// resolve finds the memory behind a key, asking the peer the first time.
func (l *lane) resolve(ctx context.Context, key uint32) (window, error) {
	k := &l.keys
	if w, ok := k.find(key); ok {
		return w, nil
	}
	select {
	case k.turn <- struct{}{}: // given back with the answer
	case <-ctx.Done():
		return window{}, ctx.Err()
	case <-l.down:
		return window{}, l.broken()
	}
	if w, ok := k.find(key); ok {
		<-k.turn
		return w, nil
	}
	answer := make(chan *window, 1)
	k.mu.Lock()
	k.asking, k.answer = key, answer
	k.mu.Unlock()
	if err := l.send.message(&wire.Header{Kind: kindResolve, ID: uint64(key)}, nil); err != nil {
		return window{}, err
	}
	select {
	case w := <-answer:
		if w == nil {
			return window{}, rdma.ErrRemote
		}
		return *w, nil
	case <-ctx.Done():
		return window{}, ctx.Err()
	case <-l.down:
		return window{}, l.broken()
	}
}

// own handles the wire's own messages.
func (l *lane) own(h *wire.Header, body []byte) error {
	switch {
	case h.Kind == kindResolve && !l.answer && len(body) == 0:
		return l.tell(uint32(h.ID))
	case h.Kind == kindResolved && l.answer:
		return l.keys.told(h, body)
	}
	return fmt.Errorf("message of kind %d with %d bytes", h.Kind, len(body))
}

// tell answers a Resolve.
func (l *lane) tell(key uint32) error {
	h := wire.Header{Kind: kindResolved, Status: statusUnknown, ID: uint64(key)}
	var body []byte
	if m := l.n.find(key); m != nil {
		h.Status, h.Length = 0, resolvedSize
		body = binary.LittleEndian.AppendUint64(body, m.base)
		body = binary.LittleEndian.AppendUint64(body, m.len)
		body = binary.LittleEndian.AppendUint32(body, m.mrs[l.dev].RKey())
	}
	return l.send.message(&h, body)
}

// told takes a Resolved.
func (k *keys) told(h *wire.Header, body []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answer == nil || h.ID != uint64(k.asking) {
		return fmt.Errorf("answer about a key that nobody asked for")
	}
	var w *window
	if h.Status == 0 {
		if len(body) != resolvedSize {
			return fmt.Errorf("answer about a key of %d bytes", len(body))
		}
		w = &window{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:]), binary.LittleEndian.Uint32(body[16:])}
		if len(k.known) >= maxKeys {
			clear(k.known)
		}
		k.known[k.asking] = *w
	}
	k.answer <- w
	k.answer = nil
	<-k.turn
	return nil
}

// Pull implements wire.Lane.
func (l *lane) Pull(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.transfer(ctx, verbs.OpRead, key, addr, p)
}

// Push implements wire.Lane.
func (l *lane) Push(ctx context.Context, key uint32, addr uint64, p []byte) error {
	return l.transfer(ctx, verbs.OpWrite, key, addr, p)
}

func (l *lane) transfer(ctx context.Context, verb uint32, key uint32, addr uint64, p []byte) error {
	w, err := l.resolve(ctx, key)
	if err != nil {
		return err
	}
	n := uint64(len(p))
	if addr < w.base || addr-w.base > w.len || n > w.len-(addr-w.base) {
		return rdma.ErrRemote
	}
	select {
	case l.transfers <- struct{}{}:
		defer func() { <-l.transfers }()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.down:
		<-l.done
		return l.broken()
	}
	o := &op{done: make(chan error, 1)}
	err = l.send.transfer(verbs.SendWR{
		Op: verb, Addr: region.Addr(p), LKey: l.staging.LKey(), Len: uint32(n), Remote: addr, RKey: w.rkey,
	}, o)
	if err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(l.n.cfg.Grace)
	defer grace.Stop()
	select {
	case err := <-o.done:
		return err
	case <-grace.C:
		l.fail(fmt.Errorf("a transfer was not over %s after its end: %w", l.n.cfg.Grace, ctx.Err()))
		<-o.done //nolint:errcheck // flushed: the device does not touch p any more
		return ctx.Err()
	}
}
