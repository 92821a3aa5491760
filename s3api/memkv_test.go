package s3api

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/weftstore/weft/metadata"
)

// memKV is an engine for tests: a map whose snapshots are copies.
type memKV struct {
	mu sync.Mutex
	m  map[string][]byte
}

func newMemKV() *memKV { return &memKV{m: map[string][]byte{}} }

func (k *memKV) View(ctx context.Context, fn func(metadata.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return fn(memTxn(k.m))
}

func (k *memKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := maps.Clone(k.m)
	if err := fn(memTxn(next)); err != nil {
		return err
	}
	k.m = next
	return nil
}

func (k *memKV) Close() error { return nil }

type memTxn map[string][]byte

func (t memTxn) Get(key []byte) ([]byte, error) { return t[string(key)], nil }

func (t memTxn) Put(key, value []byte) error {
	t[string(key)] = append([]byte{}, value...)
	return nil
}

func (t memTxn) Delete(key []byte) error {
	delete(t, string(key))
	return nil
}

func (t memTxn) Scan(from, to []byte, fn func(key, value []byte) bool) error {
	for _, k := range slices.Sorted(maps.Keys(t)) {
		if k < string(from) || to != nil && bytes.Compare([]byte(k), to) >= 0 {
			continue
		}
		if !fn([]byte(k), t[k]) {
			break
		}
	}
	return nil
}
