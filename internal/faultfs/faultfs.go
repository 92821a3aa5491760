// Package faultfs is a file system in memory that forgets: what was not synced
// may be lost by a crash, in any combination, and any operation can be made to
// fail.
//
// The model. A file's bytes are durable after SyncData, a name after SyncDir of
// its directory. A crash keeps, at random, any subset of the 512-byte sectors
// that were written since (each whole, old or new) and any subset of the names
// that were created, renamed or removed since, each independently; a kept
// sector beyond the durable size makes the file that long, the gap being
// zeros. Rename is atomic. Directories themselves are durable at once. Reads
// are never wrong unless the test flips bits with [FS.Flip].
//
// Injection: [FS.FailAt] makes the i-th operation fail, [FS.CrashAt] makes it
// and all later ones fail; operations are counted from 1, and those that change
// or sync something count. [FS.Crash] is the file system after the crash. With
// [FS.LieAboutSync] syncs do nothing, to show that a test notices.
//
// Everything is safe for concurrent use. Errors are those of the os package, or
// ErrCrashed.
package faultfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/weftstore/weft/internal/vfs"
)

// ErrCrashed is the answer to everything after a crash.
var ErrCrashed = errors.New("file system crashed")

const sector = 512

// FS is a vfs.FS in memory. The zero value is not usable: see New.
type FS struct {
	mu      sync.Mutex
	names   map[string]*inode
	durable map[string]*inode
	pending []change // since the last SyncDir of their directories
	ops     int
	fail    map[int]error
	crash   int // 0: never
	crashed bool
	lie     bool
	total   int64
	used    int64
}

// change of a name: from is gone, to is node.
type change struct {
	from, to string
	node     *inode
}

type inode struct {
	live    []byte
	durable []byte
	dirty   map[int64]bool // sectors
	resized bool
}

// New is an empty file system of total bytes.
func New(total int64) *FS {
	return &FS{
		names: make(map[string]*inode), durable: make(map[string]*inode),
		fail: make(map[int]error), total: total,
	}
}

// FailAt makes operation i fail with err. A write that fails with ENOSPC or EIO
// has written its first half.
func (f *FS) FailAt(i int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[i] = err
}

// CrashAt makes operation i and all after it fail with ErrCrashed; operation i
// itself may have happened.
func (f *FS) CrashAt(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crash = i
}

// LieAboutSync makes SyncData and SyncDir do nothing and report success.
func (f *FS) LieAboutSync() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lie = true
}

// Ops is the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// SetTotal changes the size of the file system.
func (f *FS) SetTotal(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total = n
}

// Files is every file's name and size.
func (f *FS) Files() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := make(map[string]int64)
	for name, n := range f.names {
		m[name] = int64(len(n.live))
	}
	return m
}

// Flip inverts the bits of mask in one byte of a file, for good.
func (f *FS) Flip(name string, off int64, mask byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	n.live[off] ^= mask
	if off < int64(len(n.durable)) {
		n.durable[off] ^= mask
	}
}

// Clone is an independent copy in which everything is durable: what a process
// that dies without its host leaves behind.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := New(f.total)
	g.used = f.used
	for name, n := range f.names {
		c := &inode{live: slices.Clone(n.live), durable: slices.Clone(n.live), dirty: make(map[int64]bool)}
		g.names[name], g.durable[name] = c, c
	}
	return g
}

// Revive makes a file system work again after CrashAt with all that was written, synced or
// not: the process died, and its host did not yet.
func (f *FS) Revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crash, f.crashed = 0, false
}

// Crash is the file system as it is found after a crash. The old one answers
// ErrCrashed from now on. Each unsynced sector and name is kept with
// probability keep.
func (f *FS) Crash(rng *rand.Rand, keep float64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
	names := make(map[string]*inode)
	for name, n := range f.durable {
		names[name] = n
	}
	for _, c := range f.pending {
		if rng.Float64() >= keep {
			continue
		}
		if c.from != "" {
			delete(names, c.from)
		}
		if c.to != "" {
			names[c.to] = c.node
		}
	}
	g := New(f.total)
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // one seed, one outcome
	for _, name := range sorted {
		b := names[name].survivors(rng, keep)
		c := &inode{live: b, durable: slices.Clone(b), dirty: make(map[int64]bool)}
		g.names[name], g.durable[name] = c, c
		g.used += int64(len(b))
	}
	return g
}

func (n *inode) survivors(rng *rand.Rand, keep float64) []byte {
	b := slices.Clone(n.durable)
	if n.resized && rng.Float64() < keep {
		b = resize(b, int64(len(n.live)))
	}
	sectors := make([]int64, 0, len(n.dirty))
	for s := range n.dirty {
		sectors = append(sectors, s)
	}
	slices.Sort(sectors)
	for _, s := range sectors {
		if rng.Float64() >= keep || s*sector >= int64(len(n.live)) {
			continue
		}
		end := min((s+1)*sector, int64(len(n.live)))
		if int64(len(b)) < end {
			b = resize(b, end)
		}
		copy(b[s*sector:end], n.live[s*sector:end])
	}
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return slices.Clone(b[:size])
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// step counts an operation: half is true when it fails midway. mu is held.
func (f *FS) step() (half bool, err error) {
	if f.crashed {
		return false, ErrCrashed
	}
	f.ops++
	if f.crash > 0 && f.ops >= f.crash {
		f.crashed = true
		return true, ErrCrashed
	}
	if err := f.fail[f.ops]; err != nil {
		return true, err
	}
	return false, nil
}

// Open implements vfs.FS.
func (f *FS) Open(name string) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.names[path.Clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{fs: f, n: n}, nil
}

// Create implements vfs.FS.
func (f *FS) Create(name string) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	if _, err := f.step(); err != nil {
		return nil, err
	}
	if f.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	n := &inode{dirty: make(map[int64]bool)}
	f.names[name] = n
	f.pending = append(f.pending, change{to: name, node: n})
	return &file{fs: f, n: n}, nil
}

// Rename implements vfs.FS.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to = path.Clean(from), path.Clean(to)
	if _, err := f.step(); err != nil {
		return err
	}
	n := f.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(f.names, from)
	f.names[to] = n
	f.pending = append(f.pending, change{from: from, to: to, node: n})
	return nil
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name = path.Clean(name)
	n := f.names[name]
	if n == nil && !f.crashed {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if _, err := f.step(); err != nil {
		return err
	}
	f.used -= int64(len(n.live))
	delete(f.names, name)
	f.pending = append(f.pending, change{from: name})
	return nil
}

// List implements vfs.FS.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	seen := make(map[string]bool)
	prefix := path.Clean(dir) + "/"
	if prefix == "./" {
		prefix = ""
	}
	for name := range f.names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			first, _, _ := strings.Cut(rest, "/")
			seen[first] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll implements vfs.FS: directories are there as soon as files are.
func (f *FS) MkdirAll(string) error { return nil }

// SyncDir implements vfs.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.step(); err != nil {
		return err
	}
	if f.lie {
		return nil
	}
	dir = path.Clean(dir)
	f.pending = slices.DeleteFunc(f.pending, func(c change) bool {
		if path.Dir(c.from+c.to) != dir && path.Dir(c.to) != dir {
			return false
		}
		if c.from != "" {
			delete(f.durable, c.from)
		}
		if c.to != "" {
			f.durable[c.to] = c.node
		}
		return true
	})
	return nil
}

// Usage implements vfs.FS.
func (f *FS) Usage() (total, free uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint64(f.total), uint64(max(f.total-f.used, 0)), nil
}

// extend makes a file longer, or ENOSPC. mu is held.
func (f *FS) extend(n *inode, size int64) error {
	more := size - int64(len(n.live))
	if more <= 0 {
		return nil
	}
	if f.used+more > f.total {
		return syscall.ENOSPC
	}
	f.used += more
	n.live = resize(n.live, size)
	n.resized = true
	return nil
}
