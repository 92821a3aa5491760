package boltkv

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/weftstore/weft/metadata"
)

// put writes a key.
func put(d *DB, key string) error {
	return d.Update(context.Background(), func(t metadata.Txn) error { return t.Put([]byte(key), []byte("v")) })
}

// seen says whether a view shows a key.
func seen(d *DB, key string) (yes bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err = d.View(ctx, func(r metadata.Reader) error {
		v, err := r.Get([]byte(key))
		yes = v != nil
		return err
	})
	return yes, err
}

// Fault model: the sync of the meta page takes long, or fails, when the page can be read
// already. A loss of power may undo what it says, so nobody is told it: views have the state
// before, or, when the file has outgrown the map, wait.
func TestViewShowsWhatIsDurable(t *testing.T) {
	for _, failure := range []error{nil, syscall.EIO, syscall.ENOSPC} {
		for _, mapSize := range []int{0, 1 << 20} {
			t.Run(fmt.Sprint(failure, " ", mapSize), func(t *testing.T) { viewDuringSync(t, failure, mapSize) })
		}
	}
}

func viewDuringSync(t *testing.T, failure error, mapSize int) {
	d, err := OpenWith(filepath.Join(t.TempDir(), "kv"), Options{MapSize: mapSize})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(d, "a"); err != nil {
		t.Fatal(err)
	}
	shown, synced := make(chan struct{}), make(chan struct{})
	d.commit = func(tx *bbolt.Tx) error {
		err := tx.Commit()
		close(shown)
		<-synced
		return errors.Join(err, failure)
	}
	written := make(chan error, 1)
	go func() { written <- put(d, "b") }()
	<-shown
	type view struct {
		yes bool
		err error
	}
	views := make(chan view, 1)
	go func() {
		yes, err := seen(d, "b")
		views <- view{yes, err}
	}()
	if mapSize == 0 {
		if v := <-views; v.yes || v.err != nil {
			t.Fatalf("before it is durable: %+v", v)
		}
	} else {
		select {
		case v := <-views:
			t.Fatalf("before it is durable: %+v", v)
		case <-time.After(100 * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err = d.View(ctx, func(metadata.Reader) error { return nil })
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a view whose time ended: %v", err)
		}
	}
	close(synced)
	werr := <-written
	d.commit = (*bbolt.Tx).Commit
	if mapSize == 0 {
		yes, err := seen(d, "b")
		views <- view{yes, err}
	}
	v := <-views
	switch {
	case failure == nil:
		if werr != nil || !v.yes || v.err != nil {
			t.Errorf("after the sync: %v, %+v", werr, v)
		}
	case mapSize == 0 && (v.yes || v.err != nil), mapSize != 0 && !errors.Is(v.err, failure):
		t.Errorf("after the sync failed: %+v", v)
	}
	if next := put(d, "c"); !errors.Is(next, failure) {
		t.Errorf("what would build on it: %v", next)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if failure == nil {
		return
	}
	// The page was written: the next process may find it, so nobody is told that there was no commit.
	if d, err = Open(d.path); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if yes, err := seen(d, "b"); !yes || err != nil || !errors.Is(werr, metadata.ErrUnknown) || errors.Is(werr, failure) {
		t.Errorf("update: %v; opened again: %v, %v", werr, yes, err)
	}
}

// A snapshot outlives its successors while it is read, and no update waits for it.
func TestViewKeepsItsSnapshot(t *testing.T) {
	for _, mapSize := range []int{0, 1 << 30} {
		d, err := OpenWith(filepath.Join(t.TempDir(), "kv"), Options{MapSize: mapSize})
		if err != nil {
			t.Fatal(err)
		}
		err = d.View(t.Context(), func(r metadata.Reader) error {
			for i := range 50 {
				key := fmt.Sprint("k", i)
				if err := put(d, key); err != nil {
					return err
				}
				if v, err := r.Get([]byte(key)); v != nil || err != nil {
					return fmt.Errorf("%s is seen: %q, %v", key, v, err)
				}
				if yes, err := seen(d, key); !yes || err != nil {
					return fmt.Errorf("%s is not seen: %v", key, err)
				}
			}
			return nil
		})
		if err := errors.Join(err, d.Close()); err != nil {
			t.Error(err)
		}
	}
}
