package boltkv

import (
	"context"
	"errors"
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
// already. A loss of power may undo what it says, so nobody is told it.
func TestViewShowsWhatIsDurable(t *testing.T) {
	for _, failure := range []error{nil, syscall.EIO, syscall.ENOSPC} {
		d, err := OpenWith(filepath.Join(t.TempDir(), "kv"), Options{MapSize: 1 << 20})
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
		select {
		case v := <-views:
			t.Fatalf("%v: seen before it is durable: %+v", failure, v)
		case <-time.After(100 * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err = d.View(ctx, func(metadata.Reader) error { return nil })
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: a view whose time ended: %v", failure, err)
		}
		close(synced)
		werr, v := <-written, <-views
		d.commit = (*bbolt.Tx).Commit
		if failure == nil {
			if werr != nil || !v.yes || v.err != nil {
				t.Errorf("after the sync: %v, %+v", werr, v)
			}
		} else if next := put(d, "c"); !errors.Is(werr, failure) || !errors.Is(v.err, failure) || !errors.Is(next, failure) {
			t.Errorf("%v: update: %v, view: %+v, what would build on it: %v", failure, werr, v, next)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
