package metadata_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
)

func benchDB(b *testing.B, opts boltkv.Options) *metadata.DB {
	b.Helper()
	kv, err := boltkv.OpenWith(filepath.Join(b.TempDir(), "kv"), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { kv.Close() })
	return newDB(b, kv)
}

func newDB(t testing.TB, kv metadata.KV) *metadata.DB {
	t.Helper()
	db, err := metadata.New(kv, metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CreateBucket(t.Context(), "b", ""); err != nil {
		t.Fatal(err)
	}
	return db
}

// smallObject is like what a 4 KiB put stores.
func smallObject(db *metadata.DB, key string) *metadata.Version {
	id := db.NewVersionID()
	v := &metadata.Version{Key: key, ID: id, Modified: time.Now(), Size: 4096, Headers: map[string]string{"Content-Type": "application/octet-stream"}}
	v.Inline = &metadata.Part{Number: 1, Set: metadata.SetID(id), K: 1, M: 2, Block: 4096, Size: 4096, Targets: []metadata.TargetID{1, 2, 3}}
	copy(v.MD5[:], id[:])
	return v
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPut is 16 clients that put small objects, all synced.
func BenchmarkPut(b *testing.B) {
	db := benchDB(b, boltkv.Options{})
	var n atomic.Int64
	b.SetParallelism(8) // times GOMAXPROCS
	cpu := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			// Keys in no order, as hashes or uuids are.
			key := fmt.Sprintf("%08x/object", uint32(n.Add(1))*2654435761)
			if _, err := db.Put(b.Context(), "b", smallObject(db, key), metadata.Condition{}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "µs-CPU/op")
}

// fill puts n objects whose keys format makes of two numbers, the second below 100.
func fill(b *testing.B, db *metadata.DB, format string, n int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if _, err := db.Put(b.Context(), "b", smallObject(db, fmt.Sprintf(format, i/100, i%100)), metadata.Condition{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkGet(b *testing.B) {
	db := benchDB(b, boltkv.Options{NoSync: true})
	fill(b, db, "k/%05d%02d", 10000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 7919) % 10000
		if _, _, err := db.Get(b.Context(), "b", fmt.Sprintf("k/%07d", i), ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList reads a page of 1,000 beside few and beside many keys, and one of
// common prefixes that hold 100 keys each.
func BenchmarkList(b *testing.B) {
	db := benchDB(b, boltkv.Options{NoSync: true})
	fill(b, db, "k/%05d%02d", 2000)
	page := func(q metadata.ListQuery, want int) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := db.List(b.Context(), "b", q)
				if err != nil || len(p.Entries) != want {
					b.Fatal(len(p.Entries), err)
				}
			}
		}
	}
	flat := metadata.ListQuery{Prefix: "k/", Limit: 1000}
	b.Run("keys=2k", page(flat, 1000))
	fill(b, db, "a/%05d/%02d", 100000)
	fill(b, db, "z/%05d/%02d", 100000)
	b.Run("keys=200k", page(flat, 1000))
	b.Run("prefixes", page(metadata.ListQuery{Prefix: "a/", Delimiter: "/", Limit: 1000}, 1000))
	b.Run("roots", page(metadata.ListQuery{Delimiter: "/", Limit: 1000}, 3))
}
