package kvtest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/weftstore/weft/metadata"
)

// ErrInjected is what Faulty fails with.
var ErrInjected = errors.New("injected fault")

// Faulty is a KV whose call number FailAt fails: views, updates (before their
// function runs) and each Get, Scan, Put and Delete count as one. Safe for concurrent use.
type Faulty struct {
	metadata.KV
	failAt atomic.Int64
	calls  atomic.Int64
}

// Arm starts the count anew; the call with this number, from 1, is to fail. 0: none.
func (f *Faulty) Arm(failAt int) {
	f.failAt.Store(int64(failAt))
	f.calls.Store(0)
}

// Calls is the number of calls since Arm.
func (f *Faulty) Calls() int { return int(f.calls.Load()) }

func (f *Faulty) call() error {
	if f.calls.Add(1) == f.failAt.Load() {
		return ErrInjected
	}
	return nil
}

// View implements metadata.KV.
func (f *Faulty) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.KV.View(ctx, func(r metadata.Reader) error { return fn(faultyReader{f, r}) })
}

// Update implements metadata.KV.
func (f *Faulty) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.KV.Update(ctx, func(t metadata.Txn) error { return fn(faultyTxn{faultyReader{f, t}, t}) })
}

type faultyReader struct {
	f *Faulty
	r metadata.Reader
}

func (r faultyReader) Get(key []byte) ([]byte, error) {
	if err := r.f.call(); err != nil {
		return nil, err
	}
	return r.r.Get(key)
}

func (r faultyReader) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	if err := r.f.call(); err != nil {
		return err
	}
	return r.r.Scan(from, to, fn)
}

type faultyTxn struct {
	faultyReader
	t metadata.Txn
}

func (t faultyTxn) Put(key, value []byte) error {
	if err := t.f.call(); err != nil {
		return err
	}
	return t.t.Put(key, value)
}

func (t faultyTxn) Delete(key []byte) error {
	if err := t.f.call(); err != nil {
		return err
	}
	return t.t.Delete(key)
}
