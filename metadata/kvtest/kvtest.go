// Package kvtest is the conformance suite of metadata.KV: every engine runs it, and
// the one in memory too. It also has a KV that fails on demand.
//
// The suite knows nothing of the records that package metadata stores.
package kvtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// Run tests the engines that open makes, an empty one each time. The suite closes them.
func Run(t *testing.T, open func(t *testing.T) metadata.KV) {
	for _, c := range []struct {
		name string
		test func(*testing.T, metadata.KV)
	}{
		{"GetPutDelete", testGetPutDelete},
		{"ScanBounds", testScanBounds},
		{"OwnWrites", testOwnWrites},
		{"ScanWhileWriting", testScanWhileWriting},
		{"MergedScan", testMergedScan},
		{"Atomic", testAtomic},
		{"Snapshot", testSnapshot},
		{"Increments", testIncrements},
		{"Large", testLarge},
		{"Cancelled", testCancelled},
		{"Many", testMany},
		{"Panic", testPanic},
	} {
		t.Run(c.name, func(t *testing.T) {
			kv := open(t)
			c.test(t, kv)
			if err := kv.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func update(t *testing.T, kv metadata.KV, fn func(metadata.Txn) error) {
	t.Helper()
	if err := kv.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func put(t *testing.T, kv metadata.KV, pairs ...string) {
	t.Helper()
	update(t, kv, func(txn metadata.Txn) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := txn.Put([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// dump reads [from, to) as k=v words.
func dump(t *testing.T, r metadata.Reader, from, to []byte) []string {
	t.Helper()
	var list []string
	if err := r.Scan(from, to, func(k, v []byte) bool {
		list = append(list, fmt.Sprintf("%s=%s", k, v))
		return true
	}); err != nil {
		t.Fatalf("scan: %v", err)
	}
	return list
}

func want(t *testing.T, got []string, list ...string) {
	t.Helper()
	if !slices.Equal(got, list) {
		t.Errorf("got %v, want %v", got, list)
	}
}

func wantAll(t *testing.T, kv metadata.KV, list ...string) {
	t.Helper()
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		want(t, dump(t, r, []byte{0}, nil), list...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func testGetPutDelete(t *testing.T, kv metadata.KV) {
	key, value := []byte("k"), []byte("v1")
	update(t, kv, func(txn metadata.Txn) error {
		if err := txn.Put(key, value); err != nil {
			return err
		}
		key[0], value[0] = 'x', 'x' // Put has copied
		return nil
	})
	wantAll(t, kv, "k=v1")
	put(t, kv, "k", "", "l", "2")
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		if v, err := r.Get([]byte("k")); v == nil || len(v) != 0 || err != nil {
			t.Errorf("empty value reads as %v, %v", v, err)
		}
		if v, err := r.Get([]byte("absent")); v != nil || err != nil {
			t.Errorf("absent key reads as %q, %v", v, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	update(t, kv, func(txn metadata.Txn) error {
		return errors.Join(txn.Delete([]byte("k")), txn.Delete([]byte("absent")))
	})
	wantAll(t, kv, "l=2")
	mine := errors.New("mine")
	if err := kv.View(t.Context(), func(metadata.Reader) error { return mine }); err != mine {
		t.Errorf("View returns %v for the function's error", err)
	}
}

func testScanBounds(t *testing.T, kv metadata.KV) {
	put(t, kv, "a", "1", "b", "2", "b\x00", "3", "b\xff", "4", "c", "5", "\xff", "6")
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		want(t, dump(t, r, []byte("b"), []byte("c")), "b=2", "b\x00=3", "b\xff=4")
		want(t, dump(t, r, []byte("b\x00"), []byte("b\xff")), "b\x00=3")
		want(t, dump(t, r, []byte("b\x01"), nil), "b\xff=4", "c=5", "\xff=6")
		want(t, dump(t, r, nil, []byte("b")), "a=1")
		want(t, dump(t, r, []byte("d"), []byte("e")))
		want(t, dump(t, r, []byte("c"), []byte("b")))
		n := 0
		if err := r.Scan([]byte("a"), nil, func(_, _ []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("scan stopped after %d, %v", n, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func testOwnWrites(t *testing.T, kv metadata.KV) {
	put(t, kv, "a", "1", "b", "2", "d", "4")
	update(t, kv, func(txn metadata.Txn) error {
		for _, err := range []error{
			txn.Put([]byte("c"), []byte("3")), txn.Delete([]byte("b")), txn.Put([]byte("d"), []byte("5")),
			txn.Put([]byte("e"), []byte("6")), txn.Put([]byte("f"), []byte("7")), txn.Delete([]byte("f")),
		} {
			if err != nil {
				return err
			}
		}
		want(t, dump(t, txn, []byte("a"), nil), "a=1", "c=3", "d=5", "e=6")
		want(t, dump(t, txn, []byte("b"), []byte("d")), "c=3")
		if v, err := txn.Get([]byte("b")); v != nil || err != nil {
			t.Errorf("deleted key reads as %q, %v", v, err)
		}
		if v, err := txn.Get([]byte("d")); string(v) != "5" || err != nil {
			t.Errorf("overwritten key reads as %q, %v", v, err)
		}
		if err := txn.Put([]byte("b"), []byte("again")); err != nil {
			return err
		}
		want(t, dump(t, txn, []byte("b"), []byte("c")), "b=again")
		return nil
	})
	wantAll(t, kv, "a=1", "b=again", "c=3", "d=5", "e=6")
}

// testScanWhileWriting: what fn writes ahead of the scan is seen, what it writes
// behind is not, and the scan ends.
func testScanWhileWriting(t *testing.T, kv metadata.KV) {
	put(t, kv, "b", "1", "d", "1", "f", "1")
	mine := errors.New("mine")
	for _, before := range []string{"", "aa", "b", "zz"} { // written before the scan
		err := kv.Update(t.Context(), func(txn metadata.Txn) error {
			var expect []string
			if before != "" {
				if err := txn.Put([]byte(before), []byte("2")); err != nil {
					return err
				}
				expect = append(expect, before)
			}
			for _, k := range []string{"b", "c", "f", "g"} {
				if k != before {
					expect = append(expect, k)
				}
			}
			slices.Sort(expect)
			var seen []string
			err := txn.Scan([]byte("a"), nil, func(k, _ []byte) bool {
				seen = append(seen, string(k))
				if string(k) == "b" {
					err := errors.Join(txn.Put([]byte("a"), []byte("2")), txn.Put([]byte("c"), []byte("2")),
						txn.Delete([]byte("d")), txn.Put([]byte("g"), []byte("2")))
					if err != nil {
						t.Error(err)
					}
				}
				return true
			})
			want(t, seen, expect...)
			return errors.Join(err, mine)
		})
		if !errors.Is(err, mine) {
			t.Error(err)
		}
	}
}

// testMergedScan compares random writes and scans in a transaction with a map.
func testMergedScan(t *testing.T, kv metadata.KV) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	model := map[string]string{}
	key := func() string { return fmt.Sprintf("%03d", rnd.IntN(300)) }
	for round := range 20 {
		update(t, kv, func(txn metadata.Txn) error {
			for i := range 40 {
				k := key()
				if rnd.IntN(3) == 0 {
					delete(model, k)
					if err := txn.Delete([]byte(k)); err != nil {
						return err
					}
				} else {
					model[k] = fmt.Sprint(round, i)
					if err := txn.Put([]byte(k), []byte(model[k])); err != nil {
						return err
					}
				}
				if i%8 != 0 {
					continue
				}
				from, to := key(), key()
				var list []string
				for k, v := range model {
					if k >= from && k < to {
						list = append(list, k+"="+v)
					}
				}
				slices.Sort(list)
				if got := dump(t, txn, []byte(from), []byte(to)); !slices.Equal(got, list) {
					t.Fatalf("seed %d: scan [%s, %s): got %v, want %v", seed, from, to, got, list)
				}
			}
			return nil
		})
	}
}

func testAtomic(t *testing.T, kv metadata.KV) {
	put(t, kv, "a", "1")
	mine := errors.New("mine")
	err := kv.Update(t.Context(), func(txn metadata.Txn) error {
		return errors.Join(txn.Put([]byte("a"), []byte("2")), txn.Put([]byte("b"), []byte("2")), mine)
	})
	if !errors.Is(err, mine) {
		t.Errorf("update returned %v", err)
	}
	if err := kv.Update(t.Context(), func(metadata.Txn) error { return mine }); err != mine {
		t.Errorf("update returned %v, not what its function did", err)
	}
	for _, c := range []struct{ key, value int }{{metadata.MaxKVKey + 1, 1}, {1, metadata.MaxKVValue + 1}} {
		err := kv.Update(t.Context(), func(txn metadata.Txn) error {
			return txn.Put(bytes.Repeat([]byte("k"), c.key), make([]byte, c.value))
		})
		if !errors.Is(err, metadata.ErrTooLarge) {
			t.Errorf("key of %d, value of %d: %v", c.key, c.value, err)
		}
	}
	wantAll(t, kv, "a=1")
}

func testSnapshot(t *testing.T, kv metadata.KV) {
	put(t, kv, "a", "1", "b", "1")
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		before, err := r.Get([]byte("a"))
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() {
			done <- kv.Update(t.Context(), func(txn metadata.Txn) error {
				return errors.Join(txn.Put([]byte("a"), []byte("2")), txn.Delete([]byte("b")), txn.Put([]byte("c"), []byte("2")))
			})
		}()
		if err := <-done; err != nil {
			return err
		}
		if string(before) != "1" {
			t.Errorf("a slice that was lent changed to %q", before)
		}
		want(t, dump(t, r, []byte("a"), nil), "a=1", "b=1")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantAll(t, kv, "a=2", "c=2")
}

// testIncrements: concurrent read-modify-write transactions lose nothing.
func testIncrements(t *testing.T, kv metadata.KV) {
	const workers, each = 16, 25
	key := []byte("n")
	number := func(r metadata.Reader) uint64 {
		v, err := r.Get(key)
		if err != nil {
			t.Error(err)
		}
		if v == nil {
			return 0
		}
		return binary.BigEndian.Uint64(v)
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := kv.Update(t.Context(), func(txn metadata.Txn) error {
					return txn.Put(key, binary.BigEndian.AppendUint64(nil, number(txn)+1))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		if n := number(r); n != workers*each {
			t.Errorf("%d increments counted as %d", workers*each, n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func testLarge(t *testing.T, kv metadata.KV) {
	key := bytes.Repeat([]byte("k"), metadata.MaxKVKey)
	value := make([]byte, metadata.MaxKVValue)
	for i := range value {
		value[i] = byte(i * 7)
	}
	put(t, kv, string(key), string(value), "small", "1")
	if err := kv.View(t.Context(), func(r metadata.Reader) error {
		got, err := r.Get(key)
		if err == nil && !bytes.Equal(got, value) {
			t.Error("large value reads back differently")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func testCancelled(t *testing.T, kv metadata.KV) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := kv.Update(ctx, func(metadata.Txn) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("update under a cancelled context: %v, ran: %v", err, ran)
	}
	if err := kv.View(ctx, func(metadata.Reader) error { ran = true; return nil }); !errors.Is(err, context.Canceled) || ran {
		t.Errorf("view under a cancelled context: %v, ran: %v", err, ran)
	}
	// One that waits behind another update is given up and never runs after that.
	begun, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := kv.Update(t.Context(), func(txn metadata.Txn) error {
			close(begun)
			<-goOn
			return txn.Put([]byte("first"), []byte("1"))
		}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	ctx, cancel = context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() {
		waits <- kv.Update(ctx, func(txn metadata.Txn) error { return txn.Put([]byte("second"), []byte("1")) })
	}()
	cancel()
	close(goOn)
	wg.Wait()
	if err := <-waits; err == nil {
		wantAll(t, kv, "first=1", "second=1")
	} else if errors.Is(err, context.Canceled) {
		wantAll(t, kv, "first=1")
	} else {
		t.Error(err)
	}
}

// testMany: many updates at once, some of which fail, each with several keys.
func testMany(t *testing.T, kv metadata.KV) {
	const n = 500
	mine := errors.New("mine")
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := kv.Update(t.Context(), func(txn metadata.Txn) error {
				for part := range 3 {
					if err := txn.Put(fmt.Appendf(nil, "%04d/%d", i, part), fmt.Appendf(nil, "%d", i)); err != nil {
						return err
					}
				}
				if i%5 == 0 {
					return mine
				}
				return nil
			})
			if (i%5 == 0) != (err == mine) || i%5 != 0 && err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var list []string
	for i := range n {
		for part := range 3 {
			if i%5 != 0 {
				list = append(list, fmt.Sprintf("%04d/%d=%d", i, part, i))
			}
		}
	}
	wantAll(t, kv, list...)
}

// testPanic: a panic of the function reaches the caller, and the engine goes on.
func testPanic(t *testing.T, kv metadata.KV) {
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = kv.Update(t.Context(), func(txn metadata.Txn) error {
			if err := txn.Put([]byte("a"), []byte("1")); err != nil {
				t.Error(err)
			}
			panic("mine")
		})
	}()
	put(t, kv, "b", "1")
	wantAll(t, kv, "b=1")
}
