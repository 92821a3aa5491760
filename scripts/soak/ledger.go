package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// state is what an object may be: absent, or content(seed, size).
type state struct {
	present bool
	seed    uint64
	size    int
}

func (s state) String() string {
	if !s.present {
		return "absent"
	}
	return fmt.Sprintf("%d bytes of seed %d", s.size, s.seed)
}

// content makes the bytes of a state; two seeds differ from their first bytes on.
func content(seed uint64, size int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

// entry is what is known of one key. Each key has one writer, so there is never more than one operation pending.
type entry struct {
	acknowledged state
	pending      *state // what an operation without an answer would have made of it
}

// ledger remembers what the server has acknowledged. Safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	entries map[string]entry
	touched map[string]bool // since the last verification
}

func newLedger() *ledger {
	return &ledger{entries: map[string]entry{}, touched: map[string]bool{}}
}

// begin notes that an operation is about to be sent that would turn key into next.
func (l *ledger) begin(key string, next state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	e.pending = &next
	l.entries[key] = e
	l.touched[key] = true
}

// acknowledge notes that the pending operation was answered with success.
func (l *ledger) acknowledge(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[key] = entry{acknowledged: *l.entries[key].pending}
}

// known returns the state of a key without a pending operation.
func (l *ledger) known(key string) (state, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	return e.acknowledged, e.pending == nil
}

// settle compares what the server has with what it may have, and takes it as the new truth.
func (l *ledger) settle(key string, matches func(state) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	switch {
	case matches(e.acknowledged):
		e.pending = nil
	case e.pending != nil && matches(*e.pending):
		e = entry{acknowledged: *e.pending}
	case e.pending != nil:
		return fmt.Errorf("%s is neither %v (acknowledged) nor %v (not answered)", key, e.acknowledged, *e.pending)
	default:
		return fmt.Errorf("%s is not %v (acknowledged)", key, e.acknowledged)
	}
	l.entries[key] = e
	return nil
}

// toVerify returns every key, or those that were touched since the last call and some of the others.
func (l *ledger) toVerify(all bool, others int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := slices.Sorted(maps.Keys(l.entries))
	if !all {
		kept := keys[:0]
		for _, key := range keys {
			if l.touched[key] || rand.IntN(len(l.entries)) < others {
				kept = append(kept, key)
			}
		}
		keys = kept
	}
	clear(l.touched)
	return keys
}

// present returns the keys that exist, in order. Call it when everything pending has been settled.
func (l *ledger) present() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []string
	for key, e := range l.entries {
		if e.acknowledged.present {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
