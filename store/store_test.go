package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Every size around every boundary, over every layout from one target to twelve,
// comes back whole, in random ranges, and with the right sums.
func TestRoundTrip(t *testing.T) {
	const k = 1 << 10
	for _, layout := range []string{"stripe:1", "replica:2", "replica:3", "ec:2+2", "ec:3+2", "ec:6+2", "ec:10+2", "stripe:4"} {
		t.Run(layout, func(t *testing.T) {
			r := newRig(t, rigOptions{layout: layout, targets: 1, blocks: 80})
			defer r.close()
			kk := int(r.Layout().K)
			sizes := []int{0, 1, 63, 64, 8 * k, 8*k + 1, 32*k - 1, 32 * k, 32*k + 1, 64*k - 1, 64 * k, 64*k + 1,
				64*k*kk - 1, 64 * k * kk, 64*k*kk + 1, 3*64*k*kk + 12345}
			rng := rand.New(rand.NewPCG(1, uint64(kk)))
			for i, n := range sizes {
				key, data := fmt.Sprint("k", n), testBody(n, uint64(i))
				alg := checksum.All()[i%len(checksum.All())]
				res, err := r.Put(context.Background(), &PutRequest{Bucket: "b", Key: key, Size: int64(n),
					Body: iotest.DataErrReader(bytes.NewReader(data)), Algorithm: alg, UserMeta: map[string]string{"a": "b"}})
				if err != nil {
					t.Fatalf("put %d: %v", n, err)
				}
				h := alg.New()
				h.Write(data)
				if res.Sums.MD5 != md5.Sum(data) || !bytes.Equal(res.Sums.Digest.Sum, h.Sum(nil)) {
					t.Fatalf("put %d: wrong sums with %v", n, alg)
				}
				r.mustGet(key, data)
				for range 8 {
					off := rng.Int64N(int64(n) + 1)
					want := data[off:][:rng.Int64N(int64(n)-off+1)]
					got, err := r.get(key, off, int64(len(want)))
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("range %d+%d of %d: %v", off, len(want), n, err)
					}
				}
			}
		})
	}
}

// Stream.Read gives the same bytes as WriteTo, in pieces of any size.
func TestStreamRead(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	data := testBody(500_000, 1)
	if err := r.put("k", data); err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(context.Background(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	st, err := o.Read(context.Background(), 0, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := iotest.TestReader(st, data); err != nil {
		t.Fatal(err)
	}
}

// A body that is too short, too long or fails, a check that fails, a condition
// that does not hold, and metadata that cannot be written leave nothing: no
// object, no block, no chunk.
func TestPutRefused(t *testing.T) {
	boom := errors.New("boom")
	for _, n := range []int{100, 20_000, 600_000} {
		data := testBody(n, 1)
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		if err := r.put("there", data[:10]); err != nil {
			t.Fatal(err)
		}
		before := r.stored()
		for name, c := range map[string]struct {
			req  PutRequest
			want error
		}{
			"short": {PutRequest{Size: int64(n), Body: bytes.NewReader(data[:n-1])}, ErrShortBody},
			"long":  {PutRequest{Size: int64(n - 1), Body: bytes.NewReader(data)}, ErrShortBody},
			"fails": {PutRequest{Size: int64(n), Body: io.MultiReader(bytes.NewReader(data[:n/2]), iotest.ErrReader(boom))}, boom},
			"end":   {PutRequest{Size: int64(n), Body: io.MultiReader(bytes.NewReader(data), iotest.ErrReader(boom))}, boom},
			"check": {PutRequest{Size: int64(n), Body: bytes.NewReader(data), Check: func(Sums) error { return boom }}, boom},
			"cond": {PutRequest{Key: "there", Size: int64(n), Body: iotest.ErrReader(boom),
				Cond: metadata.Condition{IfNoneMatch: []string{"*"}}}, metadata.ErrPrecondition},
			"match": {PutRequest{Size: int64(n), Body: bytes.NewReader(data), Cond: metadata.Condition{IfMatch: []string{"*"}}}, metadata.ErrNoSuchKey},
		} {
			c.req.Bucket = "b"
			if c.req.Key == "" {
				c.req.Key = "new"
			}
			if _, err := r.Put(context.Background(), &c.req); !errors.Is(err, c.want) {
				t.Fatalf("%s, %d bytes: %v, want %v", name, n, err, c.want)
			}
			if _, err := r.get("new", 0, -1); !errors.Is(err, metadata.ErrNoSuchKey) {
				t.Fatalf("%s, %d bytes: visible: %v", name, n, err)
			}
		}
		r.close()
		if got := r.stored(); got != before {
			t.Fatalf("%d bytes: %d chunks are left over", n, got-before)
		}
	}
}

// Many more uploads than the pool has stripes make progress, and so do readers.
func TestSmallPool(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", blocks: 12})
	defer r.close()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			key, data := fmt.Sprint("k", i), testBody(400_000+i, uint64(i))
			if err := r.put(key, data); err != nil {
				t.Errorf("put %d: %v", i, err)
				return
			}
			if got, err := r.get(key, 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("get %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// Replaced and deleted objects give their chunks back, but not under a reader.
func TestGarbage(t *testing.T) {
	collected := make(chan int, 100)
	r := newRig(t, rigOptions{layout: "ec:2+2", events: Events{Collected: func(n int) { collected <- n }}})
	defer r.close()
	data := testBody(300_000, 1)
	if err := r.put("k", data); err != nil {
		t.Fatal(err)
	}
	o, err := r.Open(context.Background(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", data[:10]); err != nil {
		t.Fatal(err)
	}
	if err := r.put("k", data[:20]); err != nil {
		t.Fatal(err)
	}
	<-collected // of the second; the first is pinned
	if n := r.stored(); n != 4+3 {
		t.Fatalf("%d chunks, want those of the open and of the current version", n)
	}
	st, err := o.Read(context.Background(), 0, o.Version.Size)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := st.WriteTo(&buf); err != nil || !bytes.Equal(buf.Bytes(), data) {
		t.Fatalf("read of a replaced object: %v", err)
	}
	st.Close()
	o.Close()
	r.Kick()
	<-collected
	if n := r.stored(); n != 3 {
		t.Fatalf("%d chunks, want 3", n)
	}
}

// A multipart object reads as the concatenation of its parts, with the ETag and
// checksum that S3 would give it, and completing again gives the same.
func TestMultipart(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", block: 256 << 10})
	defer r.close()
	ctx := context.Background()
	for _, c := range []struct {
		alg checksum.Algorithm
		typ checksum.Type
	}{{checksum.None, 0}, {checksum.CRC32, checksum.FullObject}, {checksum.SHA256, checksum.Composite}} {
		key := "m" + c.alg.String()
		up := &metadata.Upload{ID: r.db.NewUploadID(), Key: key, Algorithm: c.alg, Type: c.typ}
		if err := r.db.CreateUpload(ctx, "b", up); err != nil {
			t.Fatal(err)
		}
		req := &CompleteRequest{Bucket: "b", Key: key, Upload: up.ID}
		var whole []byte
		var sums, digests []byte
		for i, n := range []int{5 << 20, 5<<20 + 1, 12345} {
			data := testBody(n, uint64(i))
			res, err := r.PutPart(ctx, &PartRequest{Bucket: "b", Key: key, Upload: up.ID, Number: 2*i + 1, Size: int64(n), Body: bytes.NewReader(data)})
			if err != nil {
				t.Fatal(err)
			}
			whole = append(whole, data...)
			sums = append(sums, res.Sums.MD5[:]...)
			digests = append(digests, res.Sums.Digest.Sum...)
			req.Parts = append(req.Parts, metadata.CompletedPart{Number: uint16(2*i + 1), ETag: res.ETag})
		}
		res, err := r.Complete(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x-3", md5.Sum(sums)); res.ETag != want {
			t.Fatalf("ETag %s, want %s", res.ETag, want)
		}
		alg := max(c.alg, 0)
		if alg == checksum.None {
			alg = checksum.CRC64NVME
		}
		h := alg.New()
		if c.typ == checksum.Composite {
			h.Write(digests)
		} else {
			h.Write(whole)
		}
		if !bytes.Equal(res.Sums.Digest.Sum, h.Sum(nil)) {
			t.Fatalf("%v: digest %x, want %x", alg, res.Sums.Digest.Sum, h.Sum(nil))
		}
		r.mustGet(key, whole)
		if got, err := r.get(key, 5<<20-10, 30); err != nil || !bytes.Equal(got, whole[5<<20-10:][:30]) {
			t.Fatalf("range over a part's end: %v", err)
		}
		if err := r.checkParts(key, 1, 3, 5); err != nil {
			t.Fatal(err)
		}
		again, err := r.Complete(ctx, req)
		if err != nil || again.ETag != res.ETag {
			t.Fatalf("completed again: %v, %v", again, err)
		}
	}
	_, err := r.PutPart(ctx, &PartRequest{Bucket: "b", Key: "m", Number: 1, Size: 1, Body: iotest.ErrReader(io.ErrClosedPipe)})
	if !errors.Is(err, metadata.ErrNoSuchUpload) {
		t.Fatalf("part of no upload: %v", err)
	}
}

// checkParts pages through the parts of an object, which takes one look into the metadata for
// each page.
func (r *rig) checkParts(key string, want ...uint16) error {
	ctx := context.Background()
	o, err := r.Open(ctx, "b", key, "")
	if err != nil {
		return err
	}
	defer o.Close()
	var got []uint16
	before, pages := r.kv.views.Load(), int64(0)
	for after, more := 0, true; more; pages++ {
		var parts []metadata.Part
		if parts, more, err = o.Parts(ctx, after, 2); err != nil || len(parts) == 0 {
			return fmt.Errorf("%d parts after %d: %w", len(parts), after, err)
		}
		for i := range parts {
			got, after = append(got, parts[i].Number), int(parts[i].Number)
		}
	}
	if n := r.kv.views.Load() - before; !slices.Equal(got, want) || n != pages {
		return fmt.Errorf("parts %v, want %v; %d looks for %d pages", got, want, n, pages)
	}
	return nil
}

// With a target away, deleted sets leave the others at once, and it when it is back.
func TestGarbageOfAbsentTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{layout: "ec:2+2"})
		defer r.close()
		for i := range 3 * gcBatch {
			if err := r.put(fmt.Sprint(i%2), testBody(20_000, 1)); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				r.SetTarget(TargetConfig{ID: 1})
			}
		}
		time.Sleep(time.Minute)
		if n := r.stored(); n != 2*3+1 {
			t.Fatalf("%d chunks with a target away, want two objects' and one that waits", n)
		}
		r.SetTarget(TargetConfig{ID: 1, Target: r.targets[0]})
		time.Sleep(time.Minute)
		if n := r.stored(); n != 2*3 {
			t.Fatalf("%d chunks, want those of two objects", n)
		}
	})
}

// Work is spread evenly over targets, less of it to those with little room, none
// to those that fail while others are enough.
func TestPlace(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", targets: 8})
	defer r.close()
	list := r.Store.topology.Load().list
	for _, tg := range list {
		tg.free.Store(1 << 40)
	}
	list[6].free.Store(1 << 34)
	list[7].failed(time.Now(), extent.ErrOffline)
	count := map[*target]int{}
	const rounds = 4000
	for range rounds {
		for _, tg := range r.place(erasure.Layout{K: 2, M: 2}, 4, 3, nil, nil) {
			count[tg]++
		}
	}
	for i, tg := range list[:6] {
		if n := count[tg]; n < rounds/2 || n > rounds*3/4 {
			t.Errorf("target %d chosen %d times of %d", i, n, rounds)
		}
	}
	if count[list[6]] > rounds/4 || count[list[6]] == 0 || count[list[7]] != 0 || count[nil] != 0 {
		t.Errorf("nearly full %d times, offline %d times, none %d times", count[list[6]], count[list[7]], count[nil])
	}
}

// Parts that were stored in longer blocks than there are now are read also when shards are lost.
func TestReadLongerBlocks(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2", block: 128 << 10})
	defer r.close()
	body := testBody(700<<10, 1)
	if err := r.put("k", body); err != nil {
		t.Fatal(err)
	}
	r.pool, _ = rdma.NewPool(r.fabric, 64*64<<10, 64<<10)
	r.Store.pool = r.pool
	r.mustGet("k", body)
	v, _, err := r.db.Get(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range v.Inline.Targets[:2] {
		r.targets[id-1].wipe()
		r.mustGet("k", body)
	}
}
