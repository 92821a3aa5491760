package etcdkv

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// TestStorm: eight gateways increment one counter.
func TestStorm(t *testing.T) {
	s := startEtcd(t, "http")
	const gateways, each = 8, 40
	var wg sync.WaitGroup
	var last *DB
	for range gateways {
		d := s.openWith(t, Config{Endpoints: []string{s.Addr}, Prefix: "/storm/"})
		last = d
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), d, "n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantCount(t, last, "n", gateways*each)
}

// TestDisjoint: transactions on different keys of one range do not conflict.
func TestDisjoint(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for range 20 {
				if err := increment(t.Context(), d, fmt.Sprintf("n%02d", w)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st := d.Stats(); st.Conflicts != 0 {
		t.Errorf("%+v", st)
	}
}

// TestPhantoms: while a transaction runs, another changes what it scanned. The first
// run must not commit.
func TestPhantoms(t *testing.T) {
	s := startEtcd(t, "http")
	other := func(fn func(metadata.Txn) error) func(*testing.T, *DB) {
		return func(t *testing.T, d *DB) {
			if err := d.Update(t.Context(), fn); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func(*testing.T, *DB)
		runs int
	}{
		{"insert", other(func(t metadata.Txn) error { return t.Put([]byte("b5"), []byte("x")) }), 2},
		{"change", other(func(t metadata.Txn) error { return t.Put([]byte("b2"), []byte("x")) }), 2},
		{"delete", other(func(t metadata.Txn) error { return t.Delete([]byte("b3")) }), 2},
		{"delete first", other(func(t metadata.Txn) error { return t.Delete([]byte("b0")) }), 2},
		{"outside", other(func(t metadata.Txn) error { return t.Put([]byte("c"), []byte("x")) }), 1},
		{"beyond the stop", other(func(t metadata.Txn) error { return t.Put([]byte("b8"), []byte("x")) }), 1},
	} {
		for _, n := range []int{4, 400} { // flat and nested
			t.Run(fmt.Sprint(c.name, n), func(t *testing.T) {
				d := s.open(t)
				fill := func(txn metadata.Txn) error {
					for i := range n {
						if err := txn.Put(fmt.Appendf(nil, "a%04d", i), []byte("1")); err != nil {
							return err
						}
					}
					for _, k := range []string{"b0", "b1", "b2", "b3", "b7", "b9"} {
						if err := txn.Put([]byte(k), []byte("1")); err != nil {
							return err
						}
					}
					return nil
				}
				if err := d.Update(t.Context(), fill); err != nil {
					t.Fatal(err)
				}
				runs := 0
				if err := d.Update(t.Context(), func(txn metadata.Txn) error {
					runs++
					err := txn.Scan([]byte("a"), []byte("c"), func(k, _ []byte) bool { return string(k) != "b7" })
					if runs == 1 {
						c.do(t, d)
					}
					return errors.Join(err, txn.Put([]byte("z"), []byte("1")))
				}); err != nil {
					t.Fatal(err)
				}
				if runs != c.runs {
					t.Errorf("the function ran %d times, want %d", runs, c.runs)
				}
			})
		}
	}
}

// TestWriteSkew: of two that each look and insert where the other looks, one sees the
// other. The engine alone decides, whatever the interleaving.
func TestWriteSkew(t *testing.T) {
	s := startEtcd(t, "http")
	own := func(round, w int) []byte { return fmt.Appendf(nil, "%03d/%d", round, w) }
	for name, others := range map[string]func(r metadata.Reader, round, w int) (n int, err error){
		"scan": func(r metadata.Reader, round, _ int) (n int, err error) {
			err = r.Scan(fmt.Appendf(nil, "%03d/", round), fmt.Appendf(nil, "%03d0", round), func(_, _ []byte) bool { n++; return true })
			return n, err
		},
		"get": func(r metadata.Reader, round, w int) (n int, err error) {
			v, err := r.Get(own(round, 1-w))
			if v != nil {
				n = 1
			}
			return n, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.open(t)
			defer busy(t, a)()
			for round := range 30 {
				var wg sync.WaitGroup
				var first sync.WaitGroup
				first.Add(2)
				var inserted atomic.Int64
				for w := range 2 {
					wg.Go(func() {
						run := 0
						mine := int64(0)
						if err := a.Update(t.Context(), func(txn metadata.Txn) error {
							n, err := others(txn, round, w)
							if run++; run == 1 {
								first.Done()
								first.Wait()
							}
							if mine = 0; err != nil || n > 0 {
								return err
							}
							mine = 1
							return txn.Put(own(round, w), nil)
						}); err != nil {
							t.Error(err)
						}
						inserted.Add(mine)
					})
				}
				wg.Wait()
				if n := inserted.Load(); n != 1 {
					t.Fatalf("round %d: %d inserted", round, n)
				}
			}
		})
	}
}

// TestStaleGuess: what another gateway changed is never seen as it was before.
func TestStaleGuess(t *testing.T) {
	s := startEtcd(t, "http")
	cfg := Config{Endpoints: []string{s.Addr}, Prefix: "/stale/"}
	a, b := s.openWith(t, cfg), s.openWith(t, cfg)
	for i := range uint64(20) {
		wantCount(t, a, "n", i)
		if err := increment(t.Context(), b, "n"); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			mine := errors.New("mine")
			err := a.Update(t.Context(), func(txn metadata.Txn) error {
				if n, _ := count(txn, "n"); n != i+1 {
					return mine // a wrong guess must not get out
				}
				return nil
			})
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
}

// TestBig: transactions of thousands of keys with etcd's default limits.
func TestBig(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	const n = 10000
	key := func(i int) []byte { return fmt.Appendf(nil, "part/%05d", i) }
	for from := 0; from < n; from += 2500 {
		if err := d.Update(t.Context(), func(txn metadata.Txn) error {
			for i := from; i < from+2500; i++ {
				if err := txn.Put(key(i), bytes.Repeat([]byte("v"), 110)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	before := d.Stats().Requests
	if err := d.Update(t.Context(), func(txn metadata.Txn) error {
		got := 0
		if err := txn.Scan([]byte("part/"), []byte("part0"), func(_, _ []byte) bool { got++; return true }); err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("%d parts", got)
		}
		return txn.Put([]byte("contents"), make([]byte, 100<<10))
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("scan of %d and commit: %d requests", n, d.Stats().Requests-before)
	before = d.Stats().Requests
	if err := d.Update(t.Context(), func(txn metadata.Txn) error {
		for i := range 1000 {
			v, err := txn.Get(key(i * 7))
			if err == nil && v != nil {
				err = txn.Delete(key(i * 7))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if used := d.Stats().Requests - before; used > 6 {
		t.Errorf("1000 reads and deletes took %d requests", used)
	}
	err := d.Update(t.Context(), func(txn metadata.Txn) error {
		return errors.Join(txn.Put([]byte("x"), make([]byte, metadata.MaxKVValue)), txn.Put([]byte("y"), make([]byte, metadata.MaxKVValue)))
	})
	if !errors.Is(err, metadata.ErrTooLarge) {
		t.Errorf("2 MiB in one transaction: %v", err)
	}
}

// TestDeleteLongKeys: as many markers as a client may ask for, of long keys.
func TestDeleteLongKeys(t *testing.T) {
	db, err := metadata.New(startEtcd(t, "http").open(t), metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := db.MakeBucket(ctx, metadata.Bucket{Name: "b", Versioning: metadata.VersioningEnabled}); err != nil {
		t.Fatal(err)
	}
	items := make([]metadata.DeleteItem, metadata.MaxListPage)
	for i := range items {
		items[i].Key = fmt.Sprintf("%0*d", metadata.MaxKey, i)
	}
	res, err := db.DeleteMany(ctx, "b", items)
	if err != nil {
		t.Fatal(err)
	}
	for i := range res {
		if !res[i].DeleteMarker || res[i].Err != nil {
			t.Fatalf("item %d: %+v", i, res[i])
		}
	}
}

// TestFull: etcd's quota is reached, and what it refuses for that is known as such, before and
// after it raised its alarm.
func TestFull(t *testing.T) {
	d := startEtcd(t, "http", "--quota-backend-bytes", fmt.Sprint(4<<20)).open(t)
	refused := 0
	for i := 0; refused < 3; i++ {
		if i == 100 {
			t.Fatal("never full")
		}
		err := d.Update(t.Context(), func(txn metadata.Txn) error {
			return txn.Put(fmt.Appendf(nil, "%d", i), make([]byte, 256<<10))
		})
		if err == nil {
			continue
		}
		refused++
		if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, metadata.ErrUnknown) {
			t.Fatalf("a full etcd: %v", err)
		}
	}
}

// TestCompaction: a snapshot that etcd forgets is an error that says so; a transaction
// begins anew.
func TestCompaction(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	for i := range 3 {
		if err := d.Update(t.Context(), func(txn metadata.Txn) error {
			for j := range 1000 {
				if err := txn.Put(fmt.Appendf(nil, "%d/%04d", i, j), []byte("1")); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	compact := func() {
		if err := increment(t.Context(), d, "zz"); err != nil {
			t.Error(err)
		}
		resp, err := d.client.Get(t.Context(), "none")
		if err == nil {
			_, err = d.client.Compact(t.Context(), resp.Header.Revision)
		}
		if err != nil {
			t.Error(err)
		}
	}
	n := 0
	err := d.View(t.Context(), func(r metadata.Reader) error {
		return r.Scan([]byte("0"), []byte("9"), func(_, _ []byte) bool {
			if n++; n == 10 {
				compact()
			}
			return true
		})
	})
	if !errors.Is(err, ErrSnapshotGone) {
		t.Errorf("scan of a compacted snapshot: %v after %d", err, n)
	}
	runs, seen := 0, 0
	if err := d.Update(t.Context(), func(txn metadata.Txn) error {
		runs++
		seen = 0
		err := txn.Scan([]byte("0"), []byte("9"), func(_, _ []byte) bool {
			if seen++; seen == 10 && runs == 1 {
				compact()
			}
			return true
		})
		return errors.Join(err, txn.Put([]byte("z"), nil))
	}); err != nil || runs != 2 || seen != 3000 {
		t.Errorf("update: %v, %d runs, %d seen", err, runs, seen)
	}
}
