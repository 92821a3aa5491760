package main

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The checker must be able to fail: every way in which a store can lie to its clients is told apart from the truth.
func TestCheck(t *testing.T) {
	const never = math.MaxInt64
	op := func(client int, call, ret int64, r request, a answer) porcupine.Operation {
		if r.key == "" {
			r.key = "k0"
		}
		return porcupine.Operation{ClientId: client, Call: call, Return: ret, Input: r, Output: a}
	}
	write := func(v value) request { return request{kind: put, write: v} }
	once := func(v value) request { return request{kind: putIfAbsent, write: v} }
	swap := func(from, to value) request { return request{kind: putIfMatch, match: from, write: to} }
	read := func(v value) answer { return answer{read: v} }
	move, there := request{kind: rename, key: "k0"}, request{key: "k1"}
	for _, test := range []struct {
		what string
		ops  []porcupine.Operation
		ok   bool
	}{
		{"write, read", []porcupine.Operation{op(0, 0, 1, write(1), answer{}), op(1, 2, 3, request{}, read(1))}, true},
		{"acknowledged and lost", []porcupine.Operation{op(0, 0, 1, write(1), answer{}), op(1, 2, 3, request{}, read(0))}, false},
		{"stale read", []porcupine.Operation{op(0, 0, 1, write(1), answer{}), op(0, 2, 3, write(2), answer{}), op(1, 4, 5, request{}, read(1))}, false},
		{"concurrent, either", []porcupine.Operation{op(0, 0, 1, write(1), answer{}), op(0, 2, 6, write(2), answer{}), op(1, 4, 5, request{}, read(1))}, true},
		{"new, then old", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 9, write(2), answer{}),
			op(1, 3, 4, request{}, read(2)), op(1, 5, 6, request{}, read(1)),
		}, false},
		{"two create it", []porcupine.Operation{op(0, 0, 5, once(1), answer{}), op(1, 0, 5, once(2), answer{})}, false},
		{"one creates it", []porcupine.Operation{op(0, 0, 5, once(1), answer{}), op(1, 0, 5, once(2), answer{outcome: refused})}, true},
		{"refused without a reason", []porcupine.Operation{op(0, 0, 5, once(1), answer{outcome: refused})}, false},
		{"two replace the same", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 5, swap(1, 2), answer{}), op(1, 2, 5, swap(1, 3), answer{}),
		}, false},
		{"deleted and back", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 3, request{kind: remove}, answer{}), op(1, 4, 5, request{}, read(1)),
		}, false},
		{"no answer, happened", []porcupine.Operation{op(0, 0, never, write(1), answer{outcome: unknown}), op(1, 8, 9, request{}, read(1))}, true},
		{"no answer, did not happen", []porcupine.Operation{op(0, 0, never, write(1), answer{outcome: unknown}), op(1, 8, 9, request{}, read(0))}, true},
		{"no answer, happened and undone", []porcupine.Operation{
			op(0, 0, never, write(1), answer{outcome: unknown}), op(1, 6, 7, request{}, read(1)), op(1, 8, 9, request{}, read(0)),
		}, false},
		{"renamed", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 3, move, answer{}), op(1, 4, 5, request{}, read(0)), op(1, 6, 7, there, read(1)),
		}, true},
		{"renamed over another and back", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(1, 0, 1, request{kind: put, key: "k1", write: 2}, answer{}), op(0, 2, 3, move, answer{}),
			op(0, 4, 5, request{kind: rename, key: "k1"}, answer{}), op(1, 6, 7, request{}, read(1)), op(1, 8, 9, there, read(0)),
		}, true},
		{"renamed and under both names", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 9, move, answer{}), op(1, 3, 4, there, read(1)), op(1, 5, 6, request{}, read(1)),
		}, false},
		{"renamed and under neither name", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 9, move, answer{}), op(1, 3, 4, request{}, read(0)), op(1, 5, 6, there, read(0)),
		}, false},
		{"two rename it", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, 5, move, answer{}), op(1, 2, 5, move, answer{}),
		}, false},
		{"rename without a source", []porcupine.Operation{op(0, 0, 1, move, answer{outcome: refused})}, true},
		{"rename refused without a reason", []porcupine.Operation{op(0, 0, 1, write(1), answer{}), op(0, 2, 3, move, answer{outcome: refused})}, false},
		{"rename without an answer, happened later", []porcupine.Operation{
			op(0, 0, 1, write(1), answer{}), op(0, 2, never, move, answer{outcome: unknown}),
			op(1, 4, 5, request{}, read(1)), op(1, 6, 7, there, read(1)), op(1, 8, 9, request{}, read(0)),
		}, true},
	} {
		t.Run(test.what, func(t *testing.T) {
			h := newHistory("")
			h.ops = test.ops
			if err := h.check(); (err == nil) != test.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// A listing is a read of every key, of those that are not in it too.
func TestListIsChecked(t *testing.T) {
	h := newHistory("p/")
	h.add(0, h.now(), request{key: h.keys[0], kind: put, write: 1}, answer{})
	h.addList(1, h.now(), map[string]value{h.keys[0]: 1})
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	h.addList(1, h.now(), nil)
	if h.check() == nil {
		t.Fatal("a key that the listing left out was not missed")
	}
}
