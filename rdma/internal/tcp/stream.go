package tcp

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxMove bounds the bytes of one system call, and so how long it holds a processor: a block of the usual size goes in one.
const maxMove = 1 << 20

// stream is a TCP connection whose system calls the scheduler is not told of. They never
// wait, but copy for longer than the 20 µs after which the runtime takes the processor away
// from a goroutine in a system call: it would go on to look every 20 µs whether it must,
// and each call would end with a search for a free processor.
//
// One goroutine at a time may read, and one write.
type stream struct {
	raw syscall.RawConn

	// Of the call of Read and of the one of write that are under way.
	to        []byte
	got       int
	readErr   error
	readOnce  func(fd uintptr) bool
	from      []unix.Iovec
	wait      bool
	put       int
	writeErr  error
	writeOnce func(fd uintptr) bool
}

// newStream returns nil when c is closed.
func newStream(c *net.TCPConn) *stream {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	s := &stream{raw: raw}
	s.readOnce, s.writeOnce = s.tryRead, s.tryWrite // once, since each is an allocation
	return s
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.to = p[:min(len(p), maxMove)]
	err := s.raw.Read(s.readOnce)
	s.to = nil
	switch {
	case err != nil:
		return 0, err
	case s.readErr != nil:
		return 0, s.readErr
	case s.got == 0:
		return 0, io.EOF
	}
	return s.got, nil
}

func (s *stream) tryRead(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&s.to[0])), uintptr(len(s.to)))
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
			s.got, s.readErr = int(n), nil
		default:
			s.got, s.readErr = 0, os.NewSyscallError("read", errno)
		}
		return true
	}
}

// write writes parts in order: all of them, or without wait what the socket takes at once.
// It returns how many bytes it took.
func (s *stream) write(parts [][]byte, wait bool) (int, error) {
	all := 0
	for {
		want := s.gather(parts, all)
		if want == 0 {
			return all, nil
		}
		s.wait = wait
		err := s.raw.Write(s.writeOnce)
		clear(s.from) // lets go of the parts
		if err == nil {
			err = s.writeErr
		}
		if err != nil {
			return all, err
		}
		all += s.put
		if s.put < want && !wait {
			return all, nil
		}
	}
}

// gather sets from to at most maxMove bytes of parts, from the byte skip on, and returns how many.
func (s *stream) gather(parts [][]byte, skip int) int {
	s.from = s.from[:0]
	n := 0
	for _, p := range parts {
		cut := min(skip, len(p))
		skip -= cut
		if p = p[cut:]; len(p) > maxMove-n {
			p = p[:maxMove-n]
		}
		if len(p) == 0 {
			continue
		}
		v := unix.Iovec{Base: &p[0]}
		v.SetLen(len(p))
		s.from = append(s.from, v)
		n += len(p)
	}
	return n
}

func (s *stream) tryWrite(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&s.from[0])), uintptr(len(s.from)))
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			s.put, s.writeErr = 0, nil
			return !s.wait
		case 0:
			s.put, s.writeErr = int(n), nil
		default:
			s.put, s.writeErr = 0, os.NewSyscallError("writev", errno)
		}
		return true
	}
}
