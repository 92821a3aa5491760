package extent

import (
	"sync"

	"github.com/weftstore/weft/internal/vfs"
)

// handles keeps a bounded number of extents open. Files in use are never
// closed, so more than the bound may be open for a while.
type handles struct {
	fs  vfs.FS
	max int

	mu   sync.Mutex
	open map[uint64]*handle
}

// handle is an open extent. Whoever acquired it may use file until release.
type handle struct {
	num  uint64
	own  bool
	file vfs.File
	err  error

	once sync.Once
	refs int  // guarded by handles.mu
	gone bool // no longer in the table: the last release closes
}

func newHandles(fs vfs.FS, most int) *handles {
	return &handles{fs: fs, max: most, open: make(map[uint64]*handle)}
}

// acquire opens an extent, or shares what is open.
func (s *handles) acquire(num uint64, own bool) (*handle, error) {
	s.mu.Lock()
	h := s.open[num]
	if h == nil {
		h = &handle{num: num, own: own}
		s.evict()
		s.open[num] = h
	}
	h.refs++
	s.mu.Unlock()
	// Outside the lock: opening may take milliseconds on a network file system.
	h.once.Do(func() {
		if h.file == nil {
			h.file, h.err = s.fs.Open(extentName(num, own))
		}
	})
	if h.err != nil {
		err := h.err
		s.mu.Lock()
		s.forget(h)
		s.mu.Unlock()
		s.release(h)
		return nil, err
	}
	return h, nil
}

// adopt takes over a file that was just created.
func (s *handles) adopt(num uint64, own bool, f vfs.File) *handle {
	h := &handle{num: num, own: own, file: f, refs: 1}
	s.mu.Lock()
	s.evict()
	s.open[num] = h
	s.mu.Unlock()
	return h
}

func (s *handles) release(h *handle) {
	s.mu.Lock()
	h.refs--
	last := h.refs == 0 && h.gone
	s.mu.Unlock()
	if last && h.file != nil {
		h.file.Close()
	}
}

// drop makes the next acquire open the file anew, or fail.
func (s *handles) drop(num uint64) {
	s.mu.Lock()
	h := s.open[num]
	idle := h != nil && h.refs == 0
	if h != nil {
		s.forget(h)
	}
	s.mu.Unlock()
	if idle && h.file != nil {
		h.file.Close()
	}
}

// forget takes a handle out of the table. mu is held.
func (s *handles) forget(h *handle) {
	if s.open[h.num] == h {
		delete(s.open, h.num)
	}
	h.gone = true
}

// evict closes one idle file when the table is full: any, which map order
// makes a random one. mu is held.
func (s *handles) evict() {
	if len(s.open) < s.max {
		return
	}
	for _, h := range s.open {
		if h.refs == 0 {
			s.forget(h)
			if h.file != nil {
				h.file.Close()
			}
			return
		}
	}
}

// closeAll closes what is idle; what is in use closes with its last release.
func (s *handles) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.open {
		s.forget(h)
		if h.refs == 0 && h.file != nil {
			h.file.Close()
		}
	}
}
