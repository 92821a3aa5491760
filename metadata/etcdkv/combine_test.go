package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/metadata"
)

// TestCombine: what is asked for while a request is under way goes with the next, unless its
// answer takes long; what does not fit makes the one that waits go at once.
func TestCombine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type words []string
		const most = 5
		var c combiner[words]
		var mu sync.Mutex
		var sent []*words
		answers := map[*words]chan struct{}{}
		send := func(w *words) {
			mu.Lock()
			sent = append(sent, w)
			answer := make(chan struct{})
			answers[w] = answer
			mu.Unlock()
			<-answer
		}
		join := func(word string) *round[words] {
			return c.join(func(w *words) bool {
				fits := len(*w) < most
				if fits {
					*w = append(*w, word)
				}
				return fits
			}, send)
		}
		answer := func(r *round[words]) {
			mu.Lock()
			close(answers[&r.what])
			mu.Unlock()
			<-r.done
		}
		want := func(rounds ...*round[words]) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.EqualFunc(sent, rounds, func(w *words, r *round[words]) bool { return w == &r.what }) {
				t.Fatalf("%d requests were sent, want %d", len(sent), len(rounds))
			}
		}
		first := join("first")
		want(first)
		second := join("a")
		if join("b") != second || join("c") != second {
			t.Error("another round while one waits")
		}
		want(first)
		answer(first)
		want(first, second)
		third := join("d")
		if third == second {
			t.Error("joined a request that is under way: it may read what was true before it was asked")
		}
		for i := 1; i < most; i++ {
			join("e")
		}
		want(first, second)
		fourth := join("f") // third is full
		want(first, second, third)
		answer(second) // nobody waits for it any more
		want(first, second, third)
		time.Sleep(maxWait)
		want(first, second, third, fourth)
		fifth := join("g")
		answer(fourth)
		want(first, second, third, fourth, fifth)
		answer(third)
		answer(fifth)
		time.Sleep(2 * maxWait)
		want(first, second, third, fourth, fifth)
		if c.last != nil || c.next != nil {
			t.Errorf("under way %v, next %v", c.last, c.next)
		}
		if got := strings.Join(second.what, " "); got != "a b c" {
			t.Error(got)
		}
	})
}

// TestReadsTogether: reads that run at the same time share requests, each sees what was
// committed before it began, and one that is given up takes no other along.
func TestReadsTogether(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	other := s.openWith(t, Config{Endpoints: []string{s.Addr}, Prefix: d.prefix}) // another gateway
	const clients, rounds = 64, 50
	var written [clients]atomic.Uint64
	var writer, readers sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			n := i % clients
			if err := increment(context.Background(), other, fmt.Sprint(n)); err != nil {
				t.Error(err)
				return
			}
			written[n].Add(1)
		}
	})
	var given, asked atomic.Int64
	before := d.Stats().Requests
	for n := range clients {
		readers.Go(func() {
			for round := range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if n%8 == 0 && round%2 == 0 {
					time.AfterFunc(time.Duration(round)*10*time.Microsecond, cancel)
				}
				floor := written[n].Load()
				var got uint64
				err := d.View(ctx, func(r metadata.Reader) (err error) {
					got, err = count(r, fmt.Sprint(n))
					return err
				})
				asked.Add(1)
				switch {
				case errors.Is(err, context.Canceled) && ctx.Err() != nil:
					given.Add(1)
				case err != nil:
					t.Errorf("read %d: %v", n, err)
				case got < floor:
					t.Errorf("read %d of key %d, %d were committed before", got, n, floor)
				}
				cancel()
			}
		})
	}
	readers.Wait()
	close(stop)
	writer.Wait()
	requests := int64(d.Stats().Requests - before)
	t.Logf("%d reads, %d given up, in %d requests", asked.Load(), given.Load(), requests)
	if requests > asked.Load()/2 {
		t.Errorf("%d requests for %d reads", requests, asked.Load())
	}
}

// TestTooMuchTogether: reads that are together more than a message holds are answered one by one.
func TestTooMuchTogether(t *testing.T) {
	s := startEtcd(t, "http", "--max-request-bytes", "4194304")
	d := s.open(t)
	const n = 80 // of 1 MiB, more than maxRecv
	value := strings.Repeat("v", metadata.MaxKVValue)
	for i := range n {
		if _, err := d.Client().Put(t.Context(), fmt.Sprint(d.data, i), value); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprint(i))
	}
	all := &round[reads]{done: make(chan struct{})}
	for _, k := range keys {
		all.what.add([]string{k})
	}
	d.reads.last, d.reads.next = &round[reads]{}, all // readers join what asks for too much
	var readers sync.WaitGroup
	for _, k := range keys {
		readers.Go(func() {
			err := d.View(t.Context(), func(r metadata.Reader) error {
				v, err := r.Get([]byte(k))
				if err == nil && len(v) != len(value) {
					err = fmt.Errorf("%d bytes", len(v))
				}
				return err
			})
			if err != nil {
				t.Errorf("read %s: %v", k, err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	d.reads.start(all, d.sendReads)
	readers.Wait()
	if all.what.err == nil {
		t.Error("all were sent in one message")
	}
}

// busy makes commits on keys of its own, so that those of others are sent together, until
// the function that it returns is called.
func busy(t *testing.T, d *DB) (end func()) {
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := increment(context.Background(), d, fmt.Sprint("busy", i)); err != nil {
					t.Error("busy: ", err)
					return
				}
			}
		})
	}
	return func() { close(stop); clients.Wait() }
}

// TestCommitsTogether: commits that run at the same time share requests; those that are
// refused take no other along.
func TestCommitsTogether(t *testing.T) {
	s := startEtcd(t, "http")
	d := s.open(t)
	other := s.openWith(t, Config{Endpoints: []string{s.Addr}, Prefix: d.prefix}) // another gateway
	const clients, each = 32, 20
	var wg sync.WaitGroup
	before := d.Stats()
	for i := range clients {
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), d, fmt.Sprint("own", i)); err != nil {
					t.Error(err)
				}
				if i%4 > 0 {
					continue
				}
				for _, via := range []*DB{d, other} { // conflicts within a DB and between two
					if err := increment(t.Context(), via, "shared"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	st := d.Stats()
	const commits = clients*each + clients/4*each
	t.Logf("%d commits by %d requests, %d conflicts", commits, st.Requests-before.Requests, st.Conflicts-before.Conflicts)
	if st.Requests-before.Requests > commits*3/2 { // alone each would take two and those of its conflicts
		t.Errorf("%d requests for %d transactions that read and commit", st.Requests-before.Requests, commits)
	}
	if st.Conflicts == before.Conflicts {
		t.Error("no commit was refused: the test shows nothing of those beside it")
	}
	for i := range clients {
		wantCount(t, other, fmt.Sprint("own", i), each)
	}
	wantCount(t, other, "shared", clients/4*each*2)
}

// TestTouches: what is sent together is serializable.
func TestTouches(t *testing.T) {
	const data = "/p/k"
	touching := func(reads, writes string, spans ...span) *commit {
		c := &commit{writes: strings.Fields(writes), reads: map[string]int64{}}
		for _, k := range strings.Fields(reads) {
			c.reads[k] = 1
		}
		for _, s := range spans {
			c.spans = append(c.spans, span{data + s.from, data + s.to})
		}
		return c
	}
	for _, c := range []struct {
		name string
		a, b *commit
		fits bool
	}{
		{"others", touching("bucket a", "a"), touching("bucket b", "b"), true},
		{"same key", touching("", "a"), touching("", "a"), false},
		{"reads what is written", touching("", "bucket"), touching("bucket b", "b"), false},
		{"scans what is written", touching("", "a/1"), touching("", "b", span{"a/", "a0"}), false},
		{"scans beside it", touching("", "a0"), touching("", "b", span{"a/", "a0"}), true},
		{"scan and scan", touching("", "a", span{"c", "d"}), touching("", "b", span{"c", "d"}), true},
	} {
		for _, order := range [][2]*commit{{c.a, c.b}, {c.b, c.a}} {
			var s commits
			if !s.add(data, order[0]) || s.add(data, order[1]) != c.fits {
				t.Errorf("%s: fits %v, want %v", c.name, !c.fits, c.fits)
			}
		}
	}
	var s commits
	big := touching("", "big")
	big.size = groupBytes + 1
	if !s.add(data, big) || s.add(data, touching("", "small")) {
		t.Error("a large one must go alone, and go")
	}
	s = commits{}
	for i := range maxCommits {
		if !s.add(data, touching("", fmt.Sprint(i))) {
			t.Error("does not fit: ", i)
		}
	}
	if s.add(data, touching("", "one more")) {
		t.Error("too many")
	}
}

// TestLongKeysTogether: what a request takes is more than what it writes.
func TestLongKeysTogether(t *testing.T) {
	d := startEtcd(t, "http").open(t)
	var clients sync.WaitGroup
	for i := range 48 {
		clients.Go(func() {
			for range 4 {
				err := d.Update(t.Context(), func(txn metadata.Txn) error {
					for j := range maxCommitOps - 4 {
						if _, err := txn.Get(fmt.Appendf(nil, "%0*d/%d", metadata.MaxKVKey/2, j, i)); err != nil {
							return err
						}
					}
					return txn.Put(fmt.Append(nil, i), []byte("v"))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
}
