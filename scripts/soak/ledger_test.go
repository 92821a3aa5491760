package main

import (
	"bytes"
	"testing"
)

// The checker must be able to fail: each way in which a store can lie is told apart from the truth.
func TestSettle(t *testing.T) {
	old := state{present: true, seed: 1, size: 10}
	next := state{present: true, seed: 2, size: 10}
	torn := append(content(2, 10)[:5:5], content(1, 10)[5:]...)
	tests := []struct {
		what    string
		pending *state
		stored  []byte // nil: absent
		fails   bool
	}{
		{"acknowledged and there", nil, content(1, 10), false},
		{"acknowledged and lost", nil, nil, true},
		{"acknowledged and other bytes", nil, content(2, 10), true},
		{"acknowledged and short", nil, content(1, 10)[:9], true},
		{"unanswered and not done", &next, content(1, 10), false},
		{"unanswered and done", &next, content(2, 10), false},
		{"unanswered and half done", &next, torn, true},
		{"unanswered and both lost", &next, nil, true},
		{"unanswered delete, done", &state{}, nil, false},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			l := newLedger()
			l.begin("k", old)
			l.acknowledge("k")
			if test.pending != nil {
				l.begin("k", *test.pending)
			}
			err := l.settle("k", func(s state) bool { return sameAs(s, test.stored) })
			if (err != nil) != test.fails {
				t.Errorf("got %v, want an error: %v", err, test.fails)
			}
			if _, settled := l.known("k"); err == nil && !settled {
				t.Error("still pending")
			}
		})
	}
}

func TestContentsDiffer(t *testing.T) {
	if bytes.Equal(content(1, 8), content(2, 8)) || !bytes.Equal(content(3, 100)[:50], content(3, 50)) {
		t.Error("contents must depend on the seed, and a shorter one must be a prefix")
	}
}
