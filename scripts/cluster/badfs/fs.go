package badfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Fault is what is wrong. The zero value is nothing.
type Fault struct {
	Errno syscall.Errno // of requests that read or write; ENOSPC: of those that write
	Delay time.Duration // before every request
}

// FS is one mount.
type FS struct {
	from, at string
	dev      int
	fault    atomic.Pointer[Fault]
	done     chan struct{} // closed when the kernel has let go

	mu    sync.Mutex
	next  uint64
	paths map[uint64]string // of nodes
	nodes map[string]uint64
	files map[uint64]*os.File
}

const (
	rootNode = 1
	maxWrite = 1 << 20
)

// Mount shows the directory from at the directory at, until Close.
func Mount(from, at string) (*FS, error) {
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/fuse: %w", err)
	}
	f := &FS{
		from: from, at: at, dev: dev, done: make(chan struct{}), next: rootNode,
		paths: map[uint64]string{rootNode: from}, nodes: map[string]uint64{from: rootNode}, files: map[uint64]*os.File{},
	}
	f.fault.Store(&Fault{})
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", dev)
	if err := unix.Mount("badfs", at, "fuse.badfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mount badfs at %s: %w", at, err), unix.Close(dev))
	}
	go f.serve()
	return f, nil
}

// Set changes what is wrong from now on.
func (f *FS) Set(fault Fault) { f.fault.Store(&fault) }

// Close unmounts, whoever still uses it.
func (f *FS) Close() error {
	f.Set(Fault{})
	err := unix.Unmount(f.at, unix.MNT_DETACH|unix.MNT_FORCE)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", f.at, err)
	}
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		err = errors.Join(err, file.Close())
	}
	return errors.Join(err, unix.Close(f.dev))
}

// serve reads requests until the mount is gone.
func (f *FS) serve() {
	defer close(f.done)
	var under sync.WaitGroup
	defer under.Wait()
	buf := make([]byte, maxWrite+(64<<10))
	for {
		n, err := unix.Read(f.dev, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT): // interrupted before it was read
			continue
		case err != nil || n < inHeader:
			return
		}
		r := parse(append([]byte(nil), buf[:n]...))
		under.Go(func() { f.handle(r) })
	}
}

// request is one of the kernel's.
type request struct {
	op     uint32
	unique uint64
	node   uint64
	body   []byte
}

const (
	inHeader  = 40
	outHeader = 16
)

func parse(b []byte) *request {
	return &request{
		op: binary.LittleEndian.Uint32(b[4:]), unique: binary.LittleEndian.Uint64(b[8:]),
		node: binary.LittleEndian.Uint64(b[16:]), body: b[inHeader:],
	}
}

func (r *request) u32(at int) uint32 { return binary.LittleEndian.Uint32(r.body[at:]) }
func (r *request) u64(at int) uint64 { return binary.LittleEndian.Uint64(r.body[at:]) }

// names are the strings from an offset on.
func (r *request) names(at int) []string {
	return strings.Split(strings.TrimSuffix(string(r.body[at:]), "\x00"), "\x00")
}

func (f *FS) handle(r *request) {
	op, known := operations[r.op]
	if known && op.do == nil {
		return // has no answer
	}
	var out []byte
	err := error(unix.ENOSYS)
	if known {
		if err = f.suffer(op.effect); err == nil {
			out, err = op.do(f, r)
		}
	}
	var code syscall.Errno
	if err != nil && !errors.As(err, &code) {
		code = unix.EIO
	}
	if code != 0 {
		out = nil
	}
	b := make([]byte, outHeader, outHeader+len(out))
	binary.LittleEndian.PutUint32(b, uint32(outHeader+len(out)))
	binary.LittleEndian.PutUint32(b[4:], uint32(-int32(code)))
	binary.LittleEndian.PutUint64(b[8:], r.unique)
	_, _ = unix.Write(f.dev, append(b, out...)) // fails when the request was interrupted
}

// suffer is the fault, as it holds for a request.
func (f *FS) suffer(e effect) error {
	fault := f.fault.Load()
	if e == asks {
		return nil
	}
	time.Sleep(fault.Delay)
	if fault.Errno == 0 || e == looks || fault.Errno == unix.ENOSPC && e != writes {
		return nil
	}
	return fault.Errno
}

// path of a node.
func (f *FS) path(node uint64) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.paths[node]
	if !ok {
		return "", unix.ESTALE
	}
	return p, nil
}

// child is the path of a name in a node.
func (f *FS) child(node uint64, name string) (string, error) {
	dir, err := f.path(node)
	return filepath.Join(dir, name), err
}

// number is the node of a path.
func (f *FS) number(path string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.nodes[path]
	if !ok {
		f.next++
		n = f.next
		f.nodes[path], f.paths[n] = n, path
	}
	return n
}

// moved renames what is known of a path and what is below it; to "" it is gone.
func (f *FS) moved(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.nodes, to)
	for path, n := range f.nodes {
		rest, below := strings.CutPrefix(path, from)
		if !below || rest != "" && rest[0] != '/' {
			continue
		}
		delete(f.nodes, path)
		if to != "" {
			f.nodes[to+rest], f.paths[n] = n, to+rest
		}
	}
}

// opened is the handle of a file.
func (f *FS) opened(file *os.File) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	f.files[f.next] = file
	return f.next
}

func (f *FS) file(handle uint64) (*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file := f.files[handle]; file != nil {
		return file, nil
	}
	return nil, unix.EBADF
}
