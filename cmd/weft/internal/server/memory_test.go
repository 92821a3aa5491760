package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// Fault model of this file: far more clients than the memory has room for, and
// clients that read slowly. They may be told to slow down, and an answer under way
// that finds no memory in time may be cut short; the memory that was
// configured is never exceeded, and the Go heap stays small. The clients run in
// this process, so their buffers are in the heap that is measured.

// heapBound is what the heap may hold beside the registered memory: connection
// buffers of 128 requests on both sides, and the garbage of a collection.
const heapBound = 150 << 20

// watchHeap samples the heap until stop, which returns the highest value.
func watchHeap() (stop func() uint64) {
	var high uint64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			high = max(high, m.HeapAlloc)
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	return func() uint64 {
		close(quit)
		<-done
		return high
	}
}

// slowReader gives up its turn after every few bytes, so that all of them are
// under way together.
type slowReader struct{ r io.Reader }

func (s slowReader) Read(p []byte) (int, error) {
	runtime.Gosched()
	return s.r.Read(p[:min(len(p), 4<<10)])
}

func TestMemoryIsBounded(t *testing.T) {
	const clients = 64
	const size = 4 << 20 // of a body: with the others, many times the memory
	cfg := testConfig(t, 4)
	r := start(t, cfg, nil)
	r.makeBucket()
	base := object{key: "read", n: size, seed: 1000}
	r.mustPut(base)
	runtime.GC()
	stop := watchHeap()
	var stored, read, slowed atomic.Int64
	var wg sync.WaitGroup
	tell := func(what string, err error, ok *atomic.Int64) {
		switch {
		case err == nil:
			ok.Add(1)
		case status(err) == http.StatusServiceUnavailable, errors.Is(err, errCutShort),
			ok == &stored && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)): // answered before the body was sent
			slowed.Add(1)
			t.Logf("%s: %v", what, err)
		default:
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range clients {
		wg.Go(func() {
			o := object{key: fmt.Sprint("w", i), n: size, seed: uint64(i)}
			// One request, and the client keeps no copy of the body.
			_, err := r.cl.PutObject(t.Context(), testBucket, o.key, o.body(), o.n,
				minio.PutObjectOptions{DisableMultipart: true})
			tell("put "+o.key, err, &stored)
			if err == nil && i%16 == 0 {
				tell("get "+o.key, r.get(o), new(atomic.Int64))
			}
		})
		wg.Go(func() {
			got, err := r.cl.GetObject(t.Context(), testBucket, base.key, minio.GetObjectOptions{})
			if err == nil {
				err = sameBytes(slowReader{got}, base)
				got.Close()
			}
			tell("slow get", err, &read)
		})
	}
	wg.Wait()
	high := stop()
	t.Logf("%d stored, %d read, %d told to slow down; heap at most %d MiB", stored.Load(), read.Load(), slowed.Load(), high>>20)
	if stored.Load() == 0 || read.Load() == 0 {
		t.Error("nothing got through")
	}
	var pinned int
	for _, p := range r.gateway.Pools() {
		s := p.Stats()
		t.Logf("%+v", s)
		pinned += s.HighWater * s.BlockSize
	}
	if pinned > int(cfg.Memory) {
		t.Errorf("%d bytes of blocks in use of %d", pinned, cfg.Memory)
	}
	if high > heapBound {
		t.Errorf("heap of %d MiB; want at most %d MiB", high>>20, heapBound>>20)
	}
	r.until(5*time.Second, func() bool { return r.gateway.Pools()[0].Stats().InUse == 0 && r.gateway.Pools()[1].Stats().InUse == 0 })
}
