package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// A commit under a fence happens while its key is there and never after, however long
// the transaction is and even if the key was made anew between.
func TestCommitUnderFence(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	for _, keys := range []int{1, 1000} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			name := fmt.Sprint(t.Name(), "/fence")
			made := func() Fence {
				resp, err := d.Client().Put(t.Context(), name, "")
				if err != nil {
					t.Fatal(err)
				}
				return Fence{Cluster: resp.Header.ClusterId, Prefix: d.prefix, Key: name, Created: resp.Header.Revision}
			}
			put := func(ctx context.Context, value string) error {
				return d.Update(ctx, func(txn metadata.Txn) error {
					for i := range keys {
						if err := txn.Put(fmt.Append(nil, keys, "/", i), []byte(value)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			ctx := WithFence(t.Context(), made())
			if err := put(ctx, "held"); err != nil {
				t.Fatal("with the key there:", err)
			}
			if _, err := d.Client().Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if err := put(ctx, "gone"); !errors.Is(err, metadata.ErrFenced) {
				t.Fatal("with the key gone:", err)
			}
			again := made()
			if err := put(ctx, "again"); !errors.Is(err, metadata.ErrFenced) {
				t.Fatal("with another key of that name:", err)
			}
			if err := put(WithFence(t.Context(), Fence{}), "none"); !errors.Is(err, metadata.ErrFenced) {
				t.Fatal("with a fence that is down:", err)
			}
			err := d.View(t.Context(), func(r metadata.Reader) error {
				for i := range keys {
					if v, err := r.Get(fmt.Append(nil, keys, "/", i)); err != nil || string(v) != "held" {
						return fmt.Errorf("key %d is %q, %w", i, v, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := put(WithFence(t.Context(), again), "again"); err != nil {
				t.Fatal("with the new key:", err)
			}
		})
	}
}
