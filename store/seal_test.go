package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

var sealKey = Key{1, 31: 2}

func (r *rig) putSealed(t *testing.T, key string, data []byte, seal *Seal, alg checksum.Algorithm) *PutResult {
	t.Helper()
	res, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: key, Size: int64(len(data)), Body: iotest.DataErrReader(bytes.NewReader(data)),
		Algorithm: alg, Seal: seal, Attrs: map[string]string{"sealed": "with what"}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (r *rig) getSealed(k *Key, key string, off, n int64) ([]byte, error) {
	o, err := r.Open(context.Background(), "b", key, "")
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if n < 0 {
		n = o.Version.Size
	}
	st, err := o.ReadSealed(context.Background(), k, off, n)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	var out bytes.Buffer
	_, err = st.WriteTo(&out)
	return out.Bytes(), err
}

// TestSealedRoundTrip: sizes around every boundary come back whole and in ranges, by
// Read and by WriteTo, with the sums of the plain bytes, and nothing of them is on the targets.
func TestSealedRoundTrip(t *testing.T) {
	for _, layout := range []string{"replica:2", "ec:2+2", "ec:10+2"} {
		t.Run(layout, func(t *testing.T) {
			r := newRig(t, rigOptions{layout: layout, targets: 1, blocks: 80})
			defer r.close()
			rng := rand.New(rand.NewPCG(1, 2))
			for i, n := range []int{0, 1, 100, 32 << 10, 64<<10 - 33, 64<<10 - 32, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 300_000, 2_000_001} {
				key, data := fmt.Sprint("k", n), testBody(n, uint64(i))
				alg := checksum.All()[i%len(checksum.All())]
				opaque := i%2 == 1
				res := r.putSealed(t, key, data, &Seal{Key: sealKey, Opaque: opaque, MD5: i%4 == 1}, alg)
				h := alg.New()
				h.Write(data)
				plain := metadata.Version{MD5: md5.Sum(data)}
				if !bytes.Equal(res.Sums.Digest.Sum, h.Sum(nil)) || n > 0 && (res.ETag == plain.ETag()) == opaque {
					t.Fatalf("put %d: sums %+v, ETag %s", n, res.Sums, res.ETag)
				}
				if got, err := r.getSealed(&sealKey, key, 0, -1); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("get %d: %d bytes, %v", n, len(got), err)
				}
				for range 8 {
					off := rng.Int64N(int64(n) + 1)
					want := data[off:][:rng.Int64N(int64(n)-off+1)]
					if got, err := r.getSealed(&sealKey, key, off, int64(len(want))); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("range %d+%d of %d: %v", off, len(want), n, err)
					}
				}
				for _, ft := range r.targets {
					for id, c := range ft.chunks {
						if n >= 100 && (bytes.Contains(c.data, data[:64]) || bytes.Contains(c.data, data[n-64:])) {
							t.Fatalf("chunk %v of %d bytes has plain bytes", id, n)
						}
						if bytes.Contains(c.meta, sealKey[:]) {
							t.Fatal("the key is on a target")
						}
					}
				}
			}
		})
	}
}

func TestSealedRead(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	data := testBody(500_000, 1)
	r.putSealed(t, "k", data, &Seal{Key: sealKey}, checksum.None)
	o, err := r.Open(t.Context(), "b", "k", "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for _, at := range [][2]int{{0, len(data)}, {70_000, 200_000}, {65536, 65537}, {499_999, 500_000}} {
		st, err := o.ReadSealed(t.Context(), &sealKey, int64(at[0]), int64(at[1]-at[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(st, data[at[0]:at[1]]); err != nil {
			t.Fatal(err)
		}
		// WriteTo goes on where Read ended.
		st2, err := o.ReadSealed(t.Context(), &sealKey, int64(at[0]), int64(at[1]-at[0]))
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 1)
		if _, err := io.ReadFull(st2, head); err != nil {
			t.Fatal(err)
		}
		var rest bytes.Buffer
		if _, err := st2.WriteTo(&rest); err != nil || !bytes.Equal(append(head, rest.Bytes()...), data[at[0]:at[1]]) {
			t.Fatalf("%v: %d bytes after the first, %v", at, rest.Len(), err)
		}
		st.Close()
		st2.Close()
	}
}

// TestSealedTampering: fault model: someone changes what is on the targets and makes the
// checksums fit, or takes bytes of another object or another place, or has another key.
// No byte that was not put is ever given out.
func TestSealedTampering(t *testing.T) {
	const n = 300_000
	r := newRig(t, rigOptions{layout: "stripe:1", targets: 1})
	defer r.close()
	data := testBody(n, 1)
	r.putSealed(t, "k", data, &Seal{Key: sealKey}, checksum.None)
	var chunk *fakeChunk
	for _, c := range r.targets[0].chunks {
		chunk = c
	}
	intact := bytes.Clone(chunk.data)
	set := func(edit func(b []byte)) {
		b := bytes.Clone(intact)
		edit(b)
		r.targets[0].mu.Lock()
		chunk.data = b
		r.targets[0].mu.Unlock()
	}
	demand := func(what string, k *Key, off, n int64) {
		t.Helper()
		got, err := r.getSealed(k, "k", off, n)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		if n < 0 {
			n = int64(len(data))
		}
		if !bytes.HasPrefix(data[off:off+n], got) {
			t.Errorf("%s: other bytes than were put", what)
		}
	}
	const pkg = sealPackage + sealOverhead
	for at := 0; at < int(sealedSize(n)); at += 1237 {
		set(func(b []byte) { b[at] ^= 1 << (at % 8) })
		off := min(int64(at/pkg)*sealPackage, n-1)
		demand(fmt.Sprint("flipped byte ", at), &sealKey, off, 1)
		demand(fmt.Sprint("flipped byte ", at), &sealKey, 0, -1)
	}
	set(func(b []byte) {
		copy(b[:pkg], intact[pkg:2*pkg])
		copy(b[pkg:2*pkg], intact[:pkg])
	})
	demand("packages exchanged", &sealKey, 0, -1)
	demand("packages exchanged", &sealKey, 70_000, 10)
	set(func([]byte) {})
	demand("another key", &Key{9}, 0, -1)
	r.putSealed(t, "other", testBody(n, 2), &Seal{Key: sealKey}, checksum.None)
	for _, c := range r.targets[0].chunks {
		if c != chunk {
			set(func(b []byte) { copy(b, c.data) })
		}
	}
	demand("chunk of another object with the same key", &sealKey, 0, -1)
	set(func([]byte) {})
	if got, err := r.getSealed(&sealKey, "k", 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("intact again: %v", err)
	}
}

// TestSealedRangesAreSmall: a byte of a large object costs one read of a target.
func TestSealedRangesAreSmall(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	data := testBody(8<<20, 1)
	r.putSealed(t, "k", data, &Seal{Key: sealKey}, checksum.None)
	var reads atomic.Int64
	for _, ft := range r.targets {
		ft.fault = func(op string) error {
			if op == "read" {
				reads.Add(1)
			}
			return nil
		}
	}
	for _, off := range []int64{0, 100, 64<<10 - 1, 5_000_000, 8<<20 - 1} {
		reads.Store(0)
		got, err := r.getSealed(&sealKey, "k", off, 1)
		if err != nil || got[0] != data[off] {
			t.Fatal(got, err)
		}
		if n := reads.Load(); n > 4 { // a package of 64 KiB touches so many blocks of 64 KiB, and one may be hedged
			t.Errorf("byte %d: %d reads", off, n)
		}
	}
}

// TestSealedMultipart: each part is sealed by itself, ranges cross them, and a rebuild
// without the metadata brings attributes and parts back.
func TestSealedMultipart(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	defer r.close()
	for i := range r.targets {
		if id, err := r.db.AddTarget(t.Context(), [16]byte{byte(i + 1)}, fmt.Sprint("t", i)); err != nil || int(id) != i+1 {
			t.Fatal(id, err)
		}
	}
	up := &metadata.Upload{ID: r.db.NewUploadID(), Key: "k", Initiated: r.now(), Template: metadata.Version{Attrs: map[string]string{"sealed": "so"}}}
	if err := r.db.CreateUpload(t.Context(), "b", up); err != nil {
		t.Fatal(err)
	}
	var all []byte
	var done []metadata.CompletedPart
	for i, n := range []int{5 << 20, 5<<20 + 1, 70_000} {
		p := testBody(n, uint64(i))
		all = append(all, p...)
		res, err := r.PutPart(t.Context(), &PartRequest{Bucket: "b", Key: "k", Upload: up.ID, Number: i + 1, Size: int64(n), Body: bytes.NewReader(p),
			Seal: &Seal{Key: sealKey, Opaque: true}})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, metadata.CompletedPart{Number: uint16(i + 1), ETag: res.ETag})
	}
	res, err := r.Complete(t.Context(), &CompleteRequest{Bucket: "b", Key: "k", Upload: up.ID, Parts: done})
	if err != nil {
		t.Fatal(err)
	}
	h := checksum.CRC64NVME.New()
	h.Write(all)
	if !bytes.Equal(res.Sums.Digest.Sum, h.Sum(nil)) {
		t.Error("the checksum of the whole does not follow from those of the parts")
	}
	for _, at := range [][2]int64{{0, -1}, {5<<20 - 10, 20}, {5 << 20, 5 << 20}, {10<<20 - 5, 70_000}} {
		got, err := r.getSealed(&sealKey, "k", at[0], at[1])
		want := all[at[0]:]
		if at[1] >= 0 {
			want = want[:at[1]]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("range %v: %d bytes, %v", at, len(got), err)
		}
	}
	small := testBody(90_000, 7)
	r.putSealed(t, "small", small, &Seal{Key: sealKey}, checksum.None)
	want := listing(t, r.db)
	kv := &memKV{}
	db, _ := metadata.New(kv, metadata.Options{})
	cfg := RebuildConfig{Meta: db, KV: kv, Pool: r.pool, Small: r.small}
	for i, ft := range r.targets {
		cfg.Targets = append(cfg.Targets, TargetConfig{UUID: [16]byte{byte(i + 1)}, Name: fmt.Sprint("t", i), Target: ft})
	}
	if res, err := Rebuild(t.Context(), cfg, nil); err != nil || res.Lost != 0 || len(res.Problems) > 0 {
		t.Fatalf("rebuild: %+v, %v", res, err)
	}
	if got := listing(t, db); !reflect.DeepEqual(got, want) || got[0].Attrs["sealed"] != "so" || got[1].Attrs["sealed"] != "with what" {
		t.Fatalf("listing differs:\n%+v\n%+v", got, want)
	}
	c := r.cfg
	c.Meta = db
	again, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close(t.Context()) }()
	rr := &rig{Store: again}
	for key, data := range map[string][]byte{"k": all, "small": small} {
		if got, err := rr.getSealed(&sealKey, key, 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s after the rebuild: %d bytes, %v", key, len(got), err)
		}
	}
}

// TestSealedRefused: what goes wrong with a body leaves nothing and no goroutine.
func TestSealedRefused(t *testing.T) {
	r := newRig(t, rigOptions{layout: "ec:2+2"})
	boom := errors.New("boom")
	before := r.stored()
	for _, n := range []int{100, 70_000, 600_000} {
		data := testBody(n, 1)
		for name, c := range map[string]struct {
			size  int
			body  io.Reader
			check func(Sums) error
			want  error
		}{
			"short": {n, bytes.NewReader(data[:n-1]), nil, ErrShortBody},
			"long":  {n - 1, bytes.NewReader(data), nil, ErrShortBody},
			"fails": {n, io.MultiReader(bytes.NewReader(data[:n/2]), iotest.ErrReader(boom)), nil, boom},
			"check": {n, bytes.NewReader(data), func(Sums) error { return boom }, boom},
		} {
			_, err := r.Put(t.Context(), &PutRequest{Bucket: "b", Key: "k", Size: int64(c.size), Body: c.body, Check: c.check, Seal: &Seal{Key: sealKey}})
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %d bytes: %v, want %v", name, n, err, c.want)
			}
		}
	}
	r.close()
	if after := r.stored(); after != before {
		t.Errorf("%v chunks stay", after)
	}
}

// The longest body that S3 takes fits one chunk also when it is sealed.
func TestLongestSealedPart(t *testing.T) {
	g := erasure.NewGeometry(erasure.Layout{K: 1}, erasure.MaxBlock, sealedSize(5<<30))
	if n := g.ChunkLen(); n > extent.MaxChunk {
		t.Fatalf("a chunk of %d bytes, %d are possible", n, extent.MaxChunk)
	}
}
