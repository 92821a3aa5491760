package etcdkv

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// BenchmarkPut is clients that put new objects over one etcd member that syncs.
func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			d := startEtcd(b, "http").open(b)
			db, err := metadata.New(d, metadata.Options{})
			if err == nil {
				_, err = db.CreateBucket(b.Context(), "b", "")
			}
			if err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			before := d.Stats()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := putSmall(b.Context(), db, fmt.Sprintf("%08x/o", uint32(n.Add(1))*2654435761)); err != nil {
						b.Error(err)
					}
				}
			})
			st := d.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(st.Requests-before.Requests)/float64(b.N), "requests/op")
			b.ReportMetric(float64(st.Conflicts-before.Conflicts)/float64(b.N), "conflicts/op")
		})
	}
}

// BenchmarkGet is clients that read objects over three etcd members.
func BenchmarkGet(b *testing.B) {
	var endpoints []string
	for _, m := range etcdtest.StartMembers(b, 3, "http") {
		endpoints = append(endpoints, m.Addr)
	}
	d, err := Open(b.Context(), Config{Endpoints: endpoints, Prefix: "/bench/", DialTimeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	db, err := metadata.New(d, metadata.Options{})
	if err == nil {
		_, err = db.CreateBucket(b.Context(), "b", "")
	}
	const objects = 64
	for i := range objects {
		if err == nil {
			err = putSmall(b.Context(), db, fmt.Sprint(i))
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, clients := range []int{1, 4, 16, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			before := d.Stats()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, _, err := db.Get(b.Context(), "b", fmt.Sprint(rand.IntN(objects)), ""); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
			b.ReportMetric(float64(d.Stats().Requests-before.Requests)/float64(b.N), "requests/op")
		})
	}
}

// putSmall is what the metadata of one small object is.
func putSmall(ctx context.Context, db *metadata.DB, key string) error {
	id := db.NewVersionID()
	v := &metadata.Version{Key: key, ID: id, Size: 1}
	v.Inline = &metadata.Part{Number: 1, Set: metadata.SetID(id), K: 1, M: 2, Block: 1, Size: 1, Targets: []metadata.TargetID{1, 2, 3}}
	_, err := db.Put(ctx, "b", v, metadata.Condition{})
	return err
}
