package store

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// What the store itself costs: targets that do nothing but copy.
func BenchmarkPut(b *testing.B) { benchSizes(b, benchPut) }
func BenchmarkGet(b *testing.B) { benchSizes(b, benchGet) }

func benchSizes(b *testing.B, fn func(b *testing.B, r *rig, data []byte)) {
	for name, n := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, rigOptions{layout: "ec:2+2", block: 512 << 10})
			defer r.close()
			r.pool.Poison(false)
			r.small.Poison(false)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			fn(b, r, testBody(n, 1))
		})
	}
}

func benchPut(b *testing.B, r *rig, data []byte) {
	body := bytes.NewReader(nil)
	for b.Loop() {
		body.Reset(data)
		if _, err := r.Put(context.Background(), &PutRequest{Bucket: "b", Key: "k", Size: int64(len(data)), Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchGet(b *testing.B, r *rig, data []byte) {
	if err := r.put("k", data); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		o, err := r.Open(context.Background(), "b", "k", "")
		if err != nil {
			b.Fatal(err)
		}
		st, err := o.Read(context.Background(), 0, int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		st.Close()
		o.Close()
	}
}
