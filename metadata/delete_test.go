package metadata_test

import (
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
