package extent

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/weftstore/weft/internal/vfs"
)

// benchTarget is on the file system of TMPDIR: set it to a real disk.
func benchTarget(b *testing.B) *Target {
	dir, err := os.MkdirTemp("", "extent-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	fsys, err := vfs.NewOS(dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := Format(fsys, testIdentity); err != nil {
		b.Fatal(err)
	}
	tg, err := Open(Config{FS: fsys, IndexPath: b.TempDir() + "/index"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tg.Close() })
	return tg
}

func cpuTime() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkAppend4K(b *testing.B) {
	tg := benchTarget(b)
	data := testData(1, 4096)
	meta := testData(2, 200)
	var n atomic.Uint64
	var wg sync.WaitGroup
	b.SetBytes(4096)
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	for range 16 {
		wg.Go(func() {
			for i := n.Add(1); i <= uint64(b.N); i = n.Add(1) {
				id := ID{Index: 1}
				for j := range 8 {
					id.Set[j] = byte(mix(i) >> (8 * j))
				}
				if err := tg.Append(context.Background(), id, meta, data, nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric((cpuTime()-cpu)/1e3/float64(b.N), "cpu-us/op")
	u, _ := tg.Usage()
	b.ReportMetric(float64(u.CommitChunks)/float64(u.SyncedCommits), "chunks/sync")
}

func BenchmarkCreate512K(b *testing.B) {
	tg := benchTarget(b)
	data := testData(1, 512<<10)
	b.SetBytes(512 << 10)
	cpu := cpuTime()
	n := uint64(0)
	for b.Loop() {
		n++
		w, err := tg.Create(context.Background(), testID(n), int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		if err := w.WriteAt(context.Background(), data, 0, nil); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(context.Background(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuTime()-cpu)/1e3/float64(b.N), "cpu-us/op")
}

func BenchmarkReadAt(b *testing.B) {
	tg := benchTarget(b)
	if err := store(tg, testID(1), nil, testData(1, 4096)); err != nil {
		b.Fatal(err)
	}
	if err := store(tg, testID(2), nil, testData(2, 4<<20)); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		id   ID
		size int
	}{{"4K", testID(1), 4096}, {"64K", testID(2), 64 << 10}, {"1M", testID(2), 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			p := make([]byte, c.size)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				if err := tg.ReadAt(context.Background(), c.id, p, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
