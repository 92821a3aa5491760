package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/metadata/etcdkv"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
	"github.com/weftstore/weft/metadata/memkv"
)

// Fault model of this file: a copy that is cut short after any of its transactions,
// engines that hold something else, snapshots that are damaged.

var errCut = errors.New("cut short")

// cutKV fails every update after some.
type cutKV struct {
	metadata.KV
	left int
}

func (c *cutKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if c.left == 0 {
		return errCut
	}
	c.left--
	return c.KV.Update(ctx, fn)
}

func write(t *testing.T, kv metadata.KV, pairs map[string]string) {
	t.Helper()
	err := kv.Update(t.Context(), func(txn metadata.Txn) error {
		for k, v := range pairs {
			if err := txn.Put([]byte(k), []byte(v)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func somePairs(n int) map[string]string {
	m := map[string]string{"\x01": "", "\xff\xff": "end", "big": string(bytes.Repeat([]byte("x"), 600<<10))}
	for i := range n {
		m[fmt.Sprintf("k%05d", i)] = fmt.Sprint("value ", i)
	}
	return m
}

func mustEqual(t *testing.T, from metadata.Source, kv metadata.KV, want int) {
	t.Helper()
	if n, err := metadata.Compare(t.Context(), from, kv, nil); err != nil || n != int64(want) {
		t.Fatalf("%d pairs, want %d, %v", n, want, err)
	}
}

// From bbolt to etcd and back nothing is lost, and neither is anything when the copy is
// cut short wherever it can be and run again.
func TestCopyBetweenEngines(t *testing.T) {
	src, err := boltkv.Open(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	pairs := somePairs(3000)
	write(t, src, pairs)
	server := etcdtest.Start(t, "http")
	etcd, err := etcdkv.Open(t.Context(), etcdkv.Config{Endpoints: []string{server.Addr}, Prefix: "/copy/"})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	for cut := 0; ; cut++ {
		c, err := metadata.Copy(t.Context(), metadata.SourceOf(src), &cutKV{etcd, cut}, nil)
		if err == nil {
			if c.Pairs != int64(len(pairs)) || c.Written == c.Pairs || cut < 5 {
				t.Fatalf("after %d transactions: %+v", cut, c)
			}
			break
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if _, err := metadata.Compare(t.Context(), metadata.SourceOf(src), etcd, nil); !errors.Is(err, metadata.ErrOther) {
			t.Fatalf("half a copy compares as %v", err)
		}
	}
	mustEqual(t, metadata.SourceOf(src), etcd, len(pairs))
	back, err := boltkv.Open(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if c, err := metadata.Copy(t.Context(), metadata.SourceOf(etcd), back, nil); err != nil || c.Written != int64(len(pairs)) {
		t.Fatalf("back: %+v, %v", c, err)
	}
	mustEqual(t, metadata.SourceOf(src), back, len(pairs))
}

// Through a file nothing is lost, and a damaged file is refused.
func TestCopyFromSnapshot(t *testing.T) {
	src := memkv.New()
	pairs := somePairs(1200)
	write(t, src, pairs)
	db, err := metadata.New(src, metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "export")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := db.SnapshotTo(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	into := memkv.New()
	for range 2 {
		if c, err := metadata.Copy(t.Context(), metadata.SourceIn(f), into, nil); err != nil || c.Pairs != int64(len(pairs)) {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	mustEqual(t, metadata.SourceOf(src), into, len(pairs))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if _, err := metadata.Copy(t.Context(), metadata.SourceIn(bytes.NewReader(b)), memkv.New(), nil); !errors.Is(err, metadata.ErrCorrupt) {
		t.Fatalf("a damaged file: %v", err)
	}
}

// An engine that holds anything else is refused and not written over, and every single
// difference is found.
func TestCopyRefuses(t *testing.T) {
	src := memkv.New()
	pairs := somePairs(1200)
	write(t, src, pairs)
	for what, extra := range map[string]map[string]string{
		"a key before": {"\x00": ""}, "a key after": {"\xff\xff\xff": ""}, "a key between": {"k00700x": "v"},
		"another value": {"k00700": "v"}, "another value at the end": {"\xff\xff": "v"},
	} {
		t.Run(what, func(t *testing.T) {
			into := memkv.New()
			write(t, into, extra)
			if _, err := metadata.Copy(t.Context(), metadata.SourceOf(src), into, nil); !errors.Is(err, metadata.ErrOther) {
				t.Fatalf("copied over it: %v", err)
			}
			left := memkv.New()
			write(t, left, extra)
			mustEqual(t, metadata.SourceOf(left), into, len(extra))
			same := memkv.New()
			write(t, same, pairs)
			write(t, same, extra)
			if _, err := metadata.Compare(t.Context(), metadata.SourceOf(src), same, nil); !errors.Is(err, metadata.ErrOther) {
				t.Fatalf("compared as %v", err)
			}
			if _, err := metadata.Compare(t.Context(), metadata.SourceOf(same), src, nil); !errors.Is(err, metadata.ErrOther) {
				t.Fatalf("compared the other way as %v", err)
			}
		})
	}
}
