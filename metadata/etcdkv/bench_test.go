package etcdkv

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/weftstore/weft/metadata"
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
					id := db.NewVersionID()
					v := &metadata.Version{Key: fmt.Sprintf("%08x/o", uint32(n.Add(1))*2654435761), ID: id, Size: 1}
					v.Inline = &metadata.Part{Number: 1, Set: metadata.SetID(id), K: 1, M: 2, Block: 1, Size: 1, Targets: []metadata.TargetID{1, 2, 3}}
					if _, err := db.Put(b.Context(), "b", v, metadata.Condition{}); err != nil {
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
