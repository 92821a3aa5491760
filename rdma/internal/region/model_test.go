package region

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/rdma"
)

// TestTableModel adds, removes and looks at random and compares every answer with a
// plain map.
func TestTableModel(t *testing.T) {
	const size = 4096
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var mems [8][]byte
	for i := range mems {
		var err error
		if mems[i], err = Map(size, false, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = Unmap(mems[i]) })
	}
	var table Table
	model := map[uint32][]byte{}
	entries := map[uint32]*Entry{}
	var keys []uint32 // ever used
	for range 20_000 {
		switch rng.IntN(8) {
		case 0:
			mem := mems[rng.IntN(len(mems))]
			var e *Entry
			if rng.IntN(2) == 0 {
				e = table.AddNew(mem)
			} else {
				key := uint32(1 + rng.IntN(20))
				if model[key] != nil {
					continue
				}
				e = table.Add(key, mem)
			}
			if model[e.Key()] != nil || e.Key() == 0 {
				t.Fatalf("key %d was given twice", e.Key())
			}
			model[e.Key()], entries[e.Key()] = mem, e
			keys = append(keys, e.Key())
		case 1:
			for key, e := range entries {
				e.Remove()
				delete(entries, key)
				delete(model, key)
				break
			}
		default:
			w := rdma.Remote{Addr: Addr(mems[rng.IntN(len(mems))]) + uint64(rng.IntN(2*size)) - size/2, Len: uint32(rng.IntN(size + 100))}
			if len(keys) > 0 && rng.IntN(10) > 0 {
				w.RKey = keys[rng.IntN(len(keys))]
			}
			e, p, err := table.Window(w)
			mem := model[w.RKey]
			want := mem != nil && w.Addr >= Addr(mem) && w.Addr+uint64(w.Len) <= Addr(mem)+size
			if (err == nil) != want {
				t.Fatalf("window %+v: %v, want one: %v", w, err, want)
			}
			if want {
				if Addr(p) != w.Addr && len(p) > 0 || len(p) != int(w.Len) || cap(p) != len(p) {
					t.Fatalf("window %+v: %d bytes at %x", w, len(p), Addr(p))
				}
				e.Leave()
			}
		}
	}
}

// TestTableConcurrent: a removal returns only when nobody is in a window of the entry,
// and nobody gets one afterwards, whatever else goes on in the table.
func TestTableConcurrent(t *testing.T) {
	mem, err := Map(4096, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = Unmap(mem) }()
	var table Table
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for range 300 {
				e := table.AddNew(mem)
				var inside atomic.Int64
				var removed atomic.Bool
				var users sync.WaitGroup
				for range 3 {
					users.Go(func() {
						for {
							in, _, err := table.Window(Remote(mem, e.Key(), 0, 8))
							if err != nil {
								return
							}
							inside.Add(1)
							if removed.Load() {
								t.Error("a window of an entry that was removed")
							}
							inside.Add(-1)
							in.Leave()
						}
					})
				}
				e.Remove()
				removed.Store(true)
				if n := inside.Load(); n != 0 {
					t.Errorf("worker %d: removed with %d inside", w, n)
				}
				users.Wait()
			}
		})
	}
	all.Wait()
	if rows := table.rows.Load(); len(*rows) != 0 {
		t.Errorf("%d entries are left", len(*rows))
	}
}
