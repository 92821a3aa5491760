package metadata_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
)

func TestEntities(t *testing.T) {
	ctx := t.Context()
	db, err := metadata.New(memkv.New(), metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := func(kind byte, scope string) (list []string) {
		t.Helper()
		if err := db.ViewEntities(ctx, func(r metadata.EntityReader) error {
			list = nil
			return r.Scan(kind, scope, func(name string, _ []byte) bool { list = append(list, name); return true })
		}); err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := db.Changes()
	err = db.UpdateEntities(ctx, func(w metadata.EntityTxn) error {
		return errors.Join(w.Put('u', "1", "b", []byte("B")), w.Put('u', "1", "a", []byte("A")), w.Put('u', "12", "c", nil), w.Put('g', "1", "a", nil))
	})
	if err != nil || db.Changes() == before {
		t.Fatal(err, "or a snapshot would not see the change")
	}
	if got := names('u', "1"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	stop := errors.New("stop")
	err = db.UpdateEntities(ctx, func(w metadata.EntityTxn) error { return errors.Join(w.Delete('u', "1", "a"), stop) })
	if !errors.Is(err, stop) || len(names('u', "1")) != 2 {
		t.Error("a transaction that failed did something:", err)
	}
	if err := db.UpdateEntities(ctx, func(w metadata.EntityTxn) error { return w.Delete('u', "1", "a") }); err != nil {
		t.Fatal(err)
	}
	if err := db.UpdateEntities(ctx, func(w metadata.EntityTxn) error { return w.Put('u', "1", "a\x00b", nil) }); !errors.Is(err, metadata.ErrInvalidKey) {
		t.Error("a NUL in a name:", err)
	}
	err = db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		a, err := r.Get('u', "1", "a")
		b, err2 := r.Get('u', "1", "b")
		if a != nil || string(b) != "B" {
			t.Errorf("got %q and %q", a, b)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBucketConfigs(t *testing.T) {
	ctx := t.Context()
	db, err := metadata.New(memkv.New(), metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made := metadata.Bucket{Name: "b", Owner: "42", Tags: map[string]string{"t": "v"}, Configs: map[string]string{"acl": "x"}}
	if _, err := db.MakeBucket(ctx, made); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ name, doc string }{{"policy", "{}"}, {"policy", "{1}"}, {"acl", ""}, {"cors", "c"}, {"absent", ""}} {
		if err := db.SetBucketConfig(ctx, "b", step.name, step.doc); err != nil {
			t.Fatal(err)
		}
	}
	b, err := db.Bucket(ctx, "b")
	if err != nil || b.Owner != "42" || b.Tags["t"] != "v" || !maps.Equal(b.Configs, map[string]string{"policy": "{1}", "cors": "c"}) {
		t.Errorf("%+v, %v", b, err)
	}
	if err := db.SetBucketConfig(ctx, "absent", "policy", "{}"); !errors.Is(err, metadata.ErrNoSuchBucket) {
		t.Error(err)
	}
}
