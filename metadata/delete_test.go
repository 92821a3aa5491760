package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

// Size and time of what a delete finds: they hold for nothing, and not for a marker.
func TestDeleteByDescription(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		db := newDB(t, memkv.New())
		ctx := t.Context()
		if versioned {
			if err := db.SetVersioning(ctx, "b", metadata.VersioningEnabled); err != nil {
				t.Fatal(err)
			}
		}
		v := smallObject(db, "k")
		v.Modified = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
		if _, err := db.Put(ctx, "b", v, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		size, other := v.Size, v.Size+1
		right := metadata.Condition{Size: &size, Modified: v.Modified.Truncate(time.Second)}
		wrong := []metadata.Condition{{Size: &other}, {Modified: v.Modified.Add(time.Second)}, {Size: &size, Modified: v.Modified.Add(-time.Second)}}
		remove := func(key string, c metadata.Condition) error {
			_, err := db.Delete(ctx, "b", key, "", c)
			return err
		}
		for i, c := range wrong {
			if err := remove("k", c); !errors.Is(err, metadata.ErrPrecondition) {
				t.Errorf("versioned %v, condition %d: %v", versioned, i, err)
			}
			if err := remove(fmt.Sprint("absent", i), c); err != nil {
				t.Errorf("versioned %v, condition %d of nothing: %v", versioned, i, err)
			}
		}
		if err := remove("k", right); err != nil {
			t.Errorf("versioned %v: %v", versioned, err)
		}
		if err := remove("k", right); errors.Is(err, metadata.ErrPrecondition) != versioned {
			t.Errorf("versioned %v, a second time: %v", versioned, err)
		}
	}
}

// smallKV refuses a transaction that writes more than some keys, as etcd does one that is too large.
type smallKV struct {
	metadata.KV
	most int
}

type countingTxn struct {
	metadata.Txn
	written int
}

func (c *countingTxn) Put(key, value []byte) error {
	c.written++
	return c.Txn.Put(key, value)
}

func (k *smallKV) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	return k.KV.Update(ctx, func(t metadata.Txn) error {
		c := &countingTxn{Txn: t}
		if err := fn(c); err != nil {
			return err
		}
		if c.written > k.most {
			return metadata.ErrTooLarge
		}
		return nil
	})
}

// Items that are too many for one transaction are deleted in several.
func TestDeleteManyTooLarge(t *testing.T) {
	kv := &smallKV{memkv.New(), 4}
	db := newDB(t, kv)
	ctx := t.Context()
	if err := db.SetVersioning(ctx, "b", metadata.VersioningEnabled); err != nil {
		t.Fatal(err)
	}
	size := int64(1)
	items := make([]metadata.DeleteItem, 11)
	for i := range items {
		items[i].Key = fmt.Sprint("k", i)
		if _, err := db.Put(ctx, "b", smallObject(db, items[i].Key), metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	items[7].Cond.Size = &size
	res, err := db.DeleteMany(ctx, "b", items)
	if err != nil || len(res) != len(items) {
		t.Fatalf("%d results, %v", len(res), err)
	}
	for i := range res {
		if kept := i == 7; res[i].DeleteMarker == kept || errors.Is(res[i].Err, metadata.ErrPrecondition) != kept {
			t.Errorf("item %d: %+v", i, res[i])
		}
		if _, _, err := db.Get(ctx, "b", items[i].Key, ""); (err == nil) != (i == 7) {
			t.Errorf("item %d: %v", i, err)
		}
	}
	kv.most = 0
	if _, err := db.DeleteMany(ctx, "b", items); !errors.Is(err, metadata.ErrTooLarge) {
		t.Errorf("one item that is too large: %v", err)
	}
}

// A bucket goes with more uploads under way than one transaction takes.
func TestDeleteBucketTooLarge(t *testing.T) {
	db := newDB(t, &smallKV{memkv.New(), 4})
	ctx := t.Context()
	for range 11 {
		if err := db.CreateUpload(ctx, "b", &metadata.Upload{Key: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.DeleteBucket(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Bucket(ctx, "b"); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Error(err)
	}
	if g, err := db.Garbage(ctx, 100); err != nil || len(g) != 11 {
		t.Errorf("%d uploads are garbage, %v", len(g), err)
	}
}
