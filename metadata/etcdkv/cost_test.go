package etcdkv

import (
	"fmt"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// TestCost holds the table in ADR 6 true: requests to etcd of each operation of a
// gateway that has served the bucket before.
func TestCost(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	db, err := metadata.New(d, metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []string{"plain", "versioned"} {
		_, err := db.CreateBucket(ctx, b, "")
		must(err)
	}
	must(db.SetVersioning(ctx, "versioned", metadata.VersioningEnabled))
	put := func(bucket, key string) {
		t.Helper()
		id := db.NewVersionID()
		v := &metadata.Version{Key: key, ID: id, Size: 1}
		v.Inline = &metadata.Part{Number: 1, Set: metadata.SetID(id), K: 1, M: 1, Block: 1, Size: 1, Targets: []metadata.TargetID{1, 2}}
		_, err := db.Put(ctx, bucket, v, metadata.Condition{})
		must(err)
	}
	cost := func(name string, want uint64, op func()) {
		t.Helper()
		before := d.Stats()
		op()
		after := d.Stats()
		got := after.Requests - before.Requests
		t.Logf("%-28s %d requests, %d conflicts, %d reruns", name, got, after.Conflicts-before.Conflicts, after.Reruns-before.Reruns)
		if got > want {
			t.Errorf("%s: %d requests, want %d", name, got, want)
		}
	}
	for i := range 1200 {
		put("plain", fmt.Sprintf("list/%04d", i))
	}
	put("versioned", "warm")
	cost("put, new", 2, func() { put("plain", "a") })
	cost("put, overwrite", 2, func() { put("plain", "a") })
	cost("put, versioned", 2, func() { put("versioned", "a") })
	cost("put, versioned again", 2, func() { put("versioned", "a") })
	cost("get", 1, func() { _, _, err := db.Get(ctx, "plain", "a", ""); must(err) })
	cost("get, repeated", 1, func() { _, _, err := db.Get(ctx, "plain", "a", ""); must(err) })
	cost("get, absent", 1, func() { _, _, _ = db.Get(ctx, "plain", "none", "") })
	cost("list 1000", 1, func() {
		p, err := db.List(ctx, "plain", metadata.ListQuery{Prefix: "list/", Limit: 1000})
		must(err)
		if len(p.Entries) != 1000 || !p.Truncated {
			t.Error(len(p.Entries))
		}
	})
	cost("list versions 1000", 2, func() {
		_, err := db.ListVersions(ctx, "plain", metadata.ListQuery{Limit: 1000})
		must(err)
	})
	cost("delete", 2, func() { _, err := db.Delete(ctx, "plain", "a", "", metadata.Condition{}); must(err) })
	cost("delete, versioned", 3, func() { _, err := db.Delete(ctx, "versioned", "a", "", metadata.Condition{}); must(err) })
	cost("delete 1000", 4, func() {
		items := make([]metadata.DeleteItem, 1000)
		for i := range items {
			items[i].Key = fmt.Sprintf("list/%04d", i)
		}
		_, err := db.DeleteMany(ctx, "plain", items)
		must(err)
	})
	costUpload(t, db, cost)
}

func costUpload(t *testing.T, db *metadata.DB, cost func(string, uint64, func())) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u := &metadata.Upload{Key: "big"}
	cost("create upload", 2, func() { must(db.CreateUpload(ctx, "plain", u)) })
	var list []metadata.CompletedPart
	part := func(n uint16) {
		p := &metadata.Part{Number: n, Set: metadata.SetID(db.NewVersionID()), K: 4, M: 2, Block: 1, Size: metadata.MinPartSize, Targets: []metadata.TargetID{1, 2, 3, 4, 5, 6}}
		must(db.PutPart(ctx, "plain", "big", u.ID, p))
		list = append(list, metadata.CompletedPart{Number: n, ETag: "00000000000000000000000000000000"})
	}
	cost("put part", 2, func() { part(1) })
	for n := uint16(2); n <= 300; n++ {
		part(n)
	}
	cost("prepare completion of 300", 2, func() {
		_, _, err := db.PrepareComplete(ctx, "plain", "big", u.ID, list)
		must(err)
	})
	v := &metadata.Version{ID: db.NewVersionID()}
	cost("complete 300", 3, func() {
		_, err := db.Complete(ctx, "plain", "big", u.ID, list, v, metadata.Condition{})
		must(err)
	})
	var seqs []uint64
	cost("read 1000 of garbage", 1, func() {
		g, err := db.Garbage(ctx, 1000)
		must(err)
		for i := range g {
			seqs = append(seqs, g[i].Seq)
		}
	})
	cost(fmt.Sprintf("remove %d of garbage", len(seqs)), 4, func() { must(db.GarbageDone(ctx, seqs)) })
}
