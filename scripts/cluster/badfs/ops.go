package badfs

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// effect is what a request does, for faults.
type effect uint8

const (
	asks   effect = iota // the kernel about the mount itself
	looks                // at names and attributes
	reads                // bytes
	writes               // bytes, or makes files
)

type operation struct {
	effect effect
	do     func(*FS, *request) ([]byte, error) // nil: there is no answer
}

// operations by the numbers of linux/fuse.h. Others are ENOSYS.
var operations = map[uint32]operation{
	1:  {looks, (*FS).lookup},
	2:  {asks, nil}, // FORGET: nodes are kept
	3:  {looks, (*FS).getattr},
	4:  {writes, (*FS).setattr},
	9:  {writes, (*FS).mkdir},
	10: {looks, (*FS).unlink},
	11: {looks, (*FS).unlink},
	12: {looks, func(f *FS, r *request) ([]byte, error) { return f.rename(r, 8) }},
	14: {looks, (*FS).open},
	15: {reads, (*FS).read},
	16: {writes, (*FS).write},
	17: {looks, (*FS).statfs},
	18: {asks, (*FS).release},
	20: {writes, (*FS).fsync},
	25: {looks, func(*FS, *request) ([]byte, error) { return nil, nil }}, // FLUSH
	26: {asks, (*FS).init},
	27: {looks, (*FS).open},
	28: {looks, (*FS).readdir},
	29: {asks, (*FS).release},
	30: {writes, (*FS).fsync},
	35: {writes, (*FS).create},
	36: {asks, nil},                                                     // INTERRUPT: what is under way ends by itself
	38: {asks, func(*FS, *request) ([]byte, error) { return nil, nil }}, // DESTROY
	42: {asks, nil},                                                     // BATCH_FORGET
	43: {writes, (*FS).fallocate},
	45: {looks, func(f *FS, r *request) ([]byte, error) { return f.rename(r, 16) }},
}

var le = binary.LittleEndian

func (f *FS) init(r *request) ([]byte, error) {
	const flags = 1 | 1<<3 | 1<<5 | 1<<18 | 1<<22 // async read, atomic O_TRUNC, big writes, parallel lookups, max_pages
	b := le.AppendUint32(nil, 7)
	b = le.AppendUint32(b, 31)
	b = le.AppendUint32(b, r.u32(8)) // read-ahead as offered
	b = le.AppendUint32(b, flags&r.u32(12))
	b = le.AppendUint16(b, 64)
	b = le.AppendUint16(b, 48)
	b = le.AppendUint32(b, maxWrite)
	b = le.AppendUint32(b, 1) // granularity of times
	b = le.AppendUint16(b, maxWrite/4096)
	return append(b, make([]byte, 64-len(b))...), nil
}

// appendAttr is struct fuse_attr.
func appendAttr(b []byte, s *unix.Stat_t) []byte {
	for _, v := range []uint64{s.Ino, uint64(s.Size), uint64(s.Blocks), uint64(s.Atim.Sec), uint64(s.Mtim.Sec), uint64(s.Ctim.Sec)} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []uint32{
		uint32(s.Atim.Nsec), uint32(s.Mtim.Nsec), uint32(s.Ctim.Nsec), s.Mode, uint32(s.Nlink), s.Uid, s.Gid, uint32(s.Rdev), uint32(s.Blksize), 0,
	} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// entry is struct fuse_entry_out, valid for no time.
func (f *FS) entry(path string) ([]byte, error) {
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		return nil, err
	}
	b := le.AppendUint64(nil, f.number(path))
	return appendAttr(append(b, make([]byte, 32)...), &s), nil
}

func (f *FS) lookup(r *request) ([]byte, error) {
	path, err := f.child(r.node, r.names(0)[0])
	if err != nil {
		return nil, err
	}
	return f.entry(path)
}

func attrOut(s *unix.Stat_t) []byte { return appendAttr(make([]byte, 16), s) }

func (f *FS) getattr(r *request) ([]byte, error) {
	var s unix.Stat_t
	if r.u32(0)&1 != 0 { // by handle
		if file, err := f.file(r.u64(8)); err == nil {
			return attrOutOf(&s, unix.Fstat(int(file.Fd()), &s))
		}
	}
	path, err := f.path(r.node)
	if err != nil {
		return nil, err
	}
	return attrOutOf(&s, unix.Lstat(path, &s))
}

func attrOutOf(s *unix.Stat_t, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return attrOut(s), nil
}

func (f *FS) setattr(r *request) ([]byte, error) {
	const mode, size = 1, 8
	path, err := f.path(r.node)
	if err != nil {
		return nil, err
	}
	valid := r.u32(0)
	if valid&size != 0 {
		if err := os.Truncate(path, int64(r.u64(16))); err != nil {
			return nil, err
		}
	}
	if valid&mode != 0 {
		if err := unix.Chmod(path, r.u32(68)&0o7777); err != nil {
			return nil, err
		}
	}
	var s unix.Stat_t
	return attrOutOf(&s, unix.Lstat(path, &s))
}

func (f *FS) mkdir(r *request) ([]byte, error) {
	path, err := f.child(r.node, r.names(8)[0])
	if err == nil {
		err = unix.Mkdir(path, r.u32(0))
	}
	if err != nil {
		return nil, err
	}
	return f.entry(path)
}

func (f *FS) unlink(r *request) ([]byte, error) {
	path, err := f.child(r.node, r.names(0)[0])
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		f.moved(path, "")
	}
	return nil, err
}

func (f *FS) rename(r *request, names int) ([]byte, error) {
	list := r.names(names)
	if len(list) != 2 {
		return nil, unix.EINVAL
	}
	from, err := f.child(r.node, list[0])
	if err != nil {
		return nil, err
	}
	to, err := f.child(r.u64(0), list[1])
	if err == nil {
		err = unix.Rename(from, to)
	}
	if err == nil {
		f.moved(from, to)
	}
	return nil, err
}

// openOut is struct fuse_open_out: past the page cache, so that each read and write comes here.
func (f *FS) openOut(b []byte, file *os.File) []byte {
	const directIO = 1
	b = le.AppendUint64(b, f.opened(file))
	return le.AppendUint64(b, directIO)
}

// accessMode are the flags of an open that are passed on.
const accessMode = unix.O_ACCMODE | unix.O_TRUNC

func (f *FS) open(r *request) ([]byte, error) {
	path, err := f.path(r.node)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, int(r.u32(0))&accessMode, 0) //nolint:gosec // a path below the mount
	if err != nil {
		return nil, err
	}
	return f.openOut(nil, file), nil
}

func (f *FS) create(r *request) ([]byte, error) {
	path, err := f.child(r.node, r.names(16)[0])
	if err != nil {
		return nil, err
	}
	flags := int(r.u32(0))&(accessMode|unix.O_EXCL) | unix.O_CREAT
	file, err := os.OpenFile(path, flags, os.FileMode(r.u32(4)&0o777)) //nolint:gosec // a path below the mount
	if err != nil {
		return nil, err
	}
	b, err := f.entry(path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f.openOut(b, file), nil
}

func (f *FS) read(r *request) ([]byte, error) {
	file, err := f.file(r.u64(0))
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(r.u32(16), maxWrite))
	n, err := file.ReadAt(b, int64(r.u64(8)))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

func (f *FS) write(r *request) ([]byte, error) {
	file, err := f.file(r.u64(0))
	if err != nil {
		return nil, err
	}
	n, err := file.WriteAt(r.body[40:40+r.u32(16)], int64(r.u64(8)))
	return le.AppendUint64(nil, uint64(n)), err
}

func (f *FS) release(r *request) ([]byte, error) {
	file, err := f.file(r.u64(0))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	delete(f.files, r.u64(0))
	f.mu.Unlock()
	return nil, file.Close()
}

func (f *FS) fsync(r *request) ([]byte, error) {
	file, err := f.file(r.u64(0))
	if err == nil {
		err = file.Sync()
	}
	return nil, err
}

func (f *FS) fallocate(r *request) ([]byte, error) {
	file, err := f.file(r.u64(0))
	if err == nil {
		err = unix.Fallocate(int(file.Fd()), r.u32(24), int64(r.u64(8)), int64(r.u64(16)))
	}
	return nil, err
}

func (f *FS) statfs(*request) ([]byte, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(f.from, &s); err != nil {
		return nil, err
	}
	var b []byte
	for _, v := range []uint64{s.Blocks, s.Bfree, s.Bavail, s.Files, s.Ffree} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []uint32{uint32(s.Bsize), uint32(s.Namelen), uint32(s.Frsize)} {
		b = le.AppendUint32(b, v)
	}
	return append(b, make([]byte, 80-len(b))...), nil
}

// readdir lists all names at once, and then those past the offset.
func (f *FS) readdir(r *request) ([]byte, error) {
	path, err := f.path(r.node)
	if err != nil {
		return nil, err
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	offset, size := int(r.u64(8)), int(r.u32(16))
	var b []byte
	for i := offset; i < len(list); i++ {
		name := list[i].Name()
		kind := uint32(syscall.DT_REG)
		if list[i].IsDir() {
			kind = syscall.DT_DIR
		}
		padded := (24 + len(name) + 7) &^ 7
		if len(b)+padded > size {
			break
		}
		e := le.AppendUint64(nil, uint64(i)+1) // any number but 0
		e = le.AppendUint64(e, uint64(i)+1)
		e = le.AppendUint32(e, uint32(len(name)))
		e = append(le.AppendUint32(e, kind), name...)
		b = append(append(b, e...), make([]byte, padded-len(e))...)
	}
	return b, nil
}
