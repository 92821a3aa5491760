package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// kind of an operation on one key.
type kind uint8

const (
	get kind = iota
	put
	putIfAbsent
	putIfMatch
	remove
	rename
	kinds
)

func (k kind) String() string {
	return [kinds]string{"get", "put", "put if absent", "put if match", "delete", "rename"}[k]
}

// value is what a key holds: the number of the write, 0 when it is absent. Every write has a number of its own, of
// which its bytes and so its ETag follow.
type value uint64

// outcome of an operation.
type outcome uint8

const (
	done    outcome = iota
	refused         // the condition did not hold
	unknown         // no answer: it may have happened, or may yet
)

// request is the input of the model.
type request struct {
	key   string // of rename: what is renamed, to the other key of its pair
	kind  kind
	write value // of puts
	match value // of putIfMatch
}

// answer is its output.
type answer struct {
	outcome outcome
	read    value // of gets
}

// pair is what two keys hold. Keys whose names differ only in the lowest bit are a pair: a rename is one operation on both,
// so neither has a history of its own.
type pair [2]value

// pairOf is the name of a key's pair, and which of the two it is.
func pairOf(key string) (name string, at int) {
	last := len(key) - 1
	return key[:last] + string(rune(key[last]&^1)), int(key[last] & 1)
}

// other is the other key of a pair.
func other(key string) string {
	last := len(key) - 1
	return key[:last] + string(rune(key[last]^1))
}

// model is one pair of keys of the store.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byPair := map[string][]porcupine.Operation{}
		var names []string
		for _, op := range history {
			name, _ := pairOf(op.Input.(request).key)
			if byPair[name] == nil {
				names = append(names, name)
			}
			byPair[name] = append(byPair[name], op)
		}
		var parts [][]porcupine.Operation
		for _, name := range names {
			parts = append(parts, byPair[name])
		}
		return parts
	},
	Init: func() any { return pair{} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(pair), input.(request), output.(answer))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// step says whether an answer is right in a state, and what the state is after it. What has no answer happens, if
// its condition holds; that it never does is the same as at the end of the history.
func step(s pair, r request, a answer) (bool, pair) {
	_, at := pairOf(r.key)
	holds, next := true, s
	next[at] = r.write
	switch r.kind {
	case get:
		return a.read == s[at], s
	case remove:
		return true, next
	case putIfAbsent:
		holds = s[at] == 0
	case putIfMatch:
		holds = s[at] == r.match
	case rename:
		holds = s[at] != 0
		next[1-at] = s[at]
	}
	if !holds {
		next = s
	}
	return a.outcome == unknown || (a.outcome == done) == holds, next
}

// history of one round. Safe for concurrent use.
type history struct {
	prefix string // with the bucket
	keys   []string
	start  time.Time

	mu     sync.Mutex
	ops    []porcupine.Operation
	counts [kinds]int
	lost   [kinds]int // without an answer, or failed
	lists  int
	worst  [kinds]time.Duration
}

// keysEach is how many keys a round has, in pairs: few, so that they are fought for.
const keysEach = 6

func newHistory(prefix string) *history {
	h := &history{prefix: prefix, start: time.Now()}
	for i := range keysEach {
		h.keys = append(h.keys, fmt.Sprint(prefix, "k", i))
	}
	return h
}

func (h *history) now() int64 { return int64(time.Since(h.start)) }

// add enters an operation that began at called and has ended now.
func (h *history) add(client int, called int64, r request, a answer) {
	now := h.now()
	op := porcupine.Operation{ClientId: client, Input: r, Output: a, Call: called, Return: now}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[r.kind]++
	h.worst[r.kind] = max(h.worst[r.kind], time.Duration(now-called))
	if a.outcome == unknown {
		h.lost[r.kind]++
		if r.kind == get {
			return // says nothing
		}
		op.Return = math.MaxInt64
	}
	h.ops = append(h.ops, op)
}

// wrote enters a write. A client that has no answer waits a little before it goes on.
func (h *history) wrote(ctx context.Context, client int, called int64, r request, o outcome) {
	h.add(client, called, r, answer{outcome: o})
	if o == unknown {
		pause(ctx, 200*time.Millisecond)
	}
}

// addList enters a listing as a read of every key.
func (h *history) addList(client int, called int64, found map[string]value) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists++
	for _, key := range h.keys {
		h.ops = append(h.ops, porcupine.Operation{
			ClientId: client, Call: called, Return: now, Input: request{key: key, kind: get}, Output: answer{read: found[key]},
		})
	}
}

// checkFor bounds the search for an order of one round.
const checkFor = 2 * time.Minute

// check says whether the history of every pair of keys has an order that explains it.
func (h *history) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch result := porcupine.CheckOperationsTimeout(model, h.ops, checkFor); result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("no order of %d operations was found in %v, nor that there is none", len(h.ops), checkFor)
	}
	for _, part := range model.Partition(h.ops) {
		if porcupine.CheckOperationsTimeout(model, part, checkFor) != porcupine.Ok {
			return fmt.Errorf("NOT LINEARIZABLE: %s", describe(part))
		}
	}
	return fmt.Errorf("not linearizable")
}

// describe prints the history of a pair in the order in which the operations began.
func describe(ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range ops {
		r, a := op.Input.(request), op.Output.(answer)
		until := "never"
		if op.Return != math.MaxInt64 {
			until = time.Duration(op.Return).String()
		}
		fmt.Fprintf(&b, "\n  client %2d %12v to %12s %s %s write %d match %d: %d read %d",
			op.ClientId, time.Duration(op.Call), until, r.kind, r.key, r.write, r.match, a.outcome, a.read)
	}
	return b.String()
}

func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for k := range kinds {
		fmt.Fprintf(&b, "%s %d", k, h.counts[k])
		if h.lost[k] > 0 {
			fmt.Fprintf(&b, " (%d failed)", h.lost[k])
		}
		b.WriteString(", ")
	}
	fmt.Fprintf(&b, "list %d; slowest get %v, put %v", h.lists,
		h.worst[get].Round(time.Millisecond), h.worst[put].Round(time.Millisecond))
	return b.String()
}
