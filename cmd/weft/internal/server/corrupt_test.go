package server

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/store"
)

// Fault model of this file: bits flip on disk while no server runs, in one target
// at a time: one bit of every file of a target, or a single bit anywhere. At
// times the indexes, which are caches, are lost as well, so that recovery has to
// read what is damaged. No read may ever give other bytes than were put.

// files are the regular files in a directory.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// used is the length without the zeros that are reserved behind the data.
func used(t *testing.T, f io.ReaderAt) (n int64) {
	t.Helper()
	buf, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		m, err := f.ReadAt(buf, n)
		if bytes.Equal(buf[:m], zero[:m]) {
			return n
		}
		if err != nil || bytes.Equal(buf[m/2:m], zero[m/2:m]) {
			return n + int64(len(bytes.TrimRight(buf[:m], "\x00")))
		}
		n += int64(m)
	}
}

// flip changes one bit among those in use and returns where.
func flip(t *testing.T, path string, rnd *rand.Rand) (bit int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := used(t, f)
	if n == 0 {
		return -1
	}
	bit = rnd.Int64N(n * 8)
	if rnd.IntN(2) == 0 { // rather near the start, where the headers and small chunks are
		bit = rnd.Int64N(min(n, 256<<10) * 8)
	}
	flipBit(t, path, bit)
	return bit
}

func flipBit(t *testing.T, path string, bit int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err = f.ReadAt(b[:], bit/8); err == nil {
		b[0] ^= 1 << (bit % 8)
		_, err = f.WriteAt(b[:], bit/8)
	}
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}

// corruptible are small objects of every kind.
func corruptible() (os []object) {
	for i := range 40 {
		os = append(os, object{key: fmt.Sprint("tiny", i), n: int64(i * 20), seed: uint64(i)})
	}
	for i, n := range []int64{0, 1, 700, 4 << 10, 8<<10 + 1, 40 << 10, 64<<10 + 1, 300 << 10, 1<<20 + 5, 6 << 20} {
		os = append(os, object{key: string(rune('a' + i)), n: n, seed: uint64(i)})
	}
	return os
}

func TestBitInEveryFile(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	cfg := testConfig(t, 4)
	r := start(t, cfg, nil)
	r.makeBucket()
	all := corruptible()
	r.mustPut(all...)
	for round := range 4 {
		victim := cfg.Targets[round]
		r.stop()
		for _, path := range files(t, victim) {
			flip(t, path, rnd)
		}
		if round%2 == 1 {
			loseIndexes(t, cfg)
		}
		r = start(t, cfg, nil)
		r.mustGet(all...)
		// The superblock is damaged too, so the target must not be served; the
		// operator empties the directory.
		if s := r.node.Targets()[round].State; s == node.Online {
			t.Fatal("a target with a damaged superblock is served")
		}
		if err := os.RemoveAll(victim); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(victim, 0o700); err != nil {
			t.Fatal(err)
		}
		r.mustRepair()
		r.mustBeClean()
		r.mustGet(all...)
	}
}

func loseIndexes(t *testing.T, cfg Config) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(cfg.State, statedir.IndexDir)); err != nil {
		t.Fatal(err)
	}
}

func TestSingleBits(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	cfg := testConfig(t, 4)
	r := start(t, cfg, nil)
	r.makeBucket()
	all := corruptible()
	r.mustPut(all...)
	noticed := 0
	for round := range rounds {
		r.stop()
		victim := rnd.IntN(len(cfg.Targets))
		paths := files(t, cfg.Targets[victim])
		path := paths[0] // an extent
		if rnd.IntN(6) == 0 {
			path = paths[rnd.IntN(len(paths))]
		}
		bit := flip(t, path, rnd)
		if bit < 0 {
			r = start(t, cfg, nil)
			continue
		}
		lost := round%2 == 1
		if lost {
			loseIndexes(t, cfg)
		}
		t.Logf("round %d: bit %d of %s, indexes lost: %v", round, bit, path, lost)
		r = start(t, cfg, nil)
		r.mustGet(all...)
		if r.node.Targets()[victim].State != node.Online { // as good as gone, until it is right again
			noticed++
			flipBit(t, path, bit)
			r.await([]int{victim}, online)
		}
		var scrub store.ScrubResult
		r.admin("scrub", adminsock.Args{}, &scrub)
		repair := r.mustRepair()
		if scrub.Corrupt+repair.Repaired > 0 {
			noticed++
		}
		r.mustBeClean() // what scrub found is repaired, by this repair or by the one in the background
		r.mustGet(all...)
	}
	t.Logf("%d of %d flips were noticed", noticed, rounds)
	if noticed < rounds/4 {
		t.Fatal("hardly any flip had an effect: the test does not hit the data")
	}
}
