package faultfs

import (
	"io"
	"slices"
)

// file is an open file. It goes on working after its name was removed.
type file struct {
	fs *FS
	n  *inode
}

func (h *file) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.fs.crashed {
		return 0, ErrCrashed
	}
	if off >= int64(len(h.n.live)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.live[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *file) WriteAt(p []byte, off int64) (int, error) {
	if err := h.Writev([][]byte{p}, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h *file) Writev(bufs [][]byte, off int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	p := slices.Concat(bufs...)
	half, failure := h.fs.step()
	if failure != nil {
		if !half {
			return failure
		}
		p = p[:len(p)/2]
	}
	if len(p) > 0 {
		if err := h.fs.extend(h.n, off+int64(len(p))); err != nil {
			return err
		}
		copy(h.n.live[off:], p)
		for s := off / sector; s <= (off+int64(len(p))-1)/sector; s++ {
			h.n.dirty[s] = true
		}
	}
	return failure
}

func (h *file) Allocate(off, n int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if _, err := h.fs.step(); err != nil {
		return err
	}
	return h.fs.extend(h.n, off+n)
}

func (h *file) SyncData() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	half, err := h.fs.step()
	switch {
	case err == ErrCrashed:
		return err
	case half:
		// The kernel drops the pages that it could not write, and says so once.
		h.n.dirty = make(map[int64]bool)
		return err
	case h.fs.lie:
		return nil
	}
	h.n.durable = slices.Clone(h.n.live)
	h.n.dirty = make(map[int64]bool)
	h.n.resized = false
	return nil
}

func (h *file) StartWriteback(int64, int64) {}

func (h *file) Truncate(size int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if _, err := h.fs.step(); err != nil {
		return err
	}
	if size >= int64(len(h.n.live)) {
		return h.fs.extend(h.n, size)
	}
	h.fs.used -= int64(len(h.n.live)) - size
	h.n.live = slices.Clone(h.n.live[:size])
	h.n.resized = true
	return nil
}

func (h *file) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.fs.crashed {
		return 0, ErrCrashed
	}
	return int64(len(h.n.live)), nil
}

func (h *file) Close() error { return nil }
