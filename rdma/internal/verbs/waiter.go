package verbs

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// waiter lets goroutines wait for a descriptor of the libraries to become readable, through Go's netpoller.
type waiter struct {
	file *os.File
	raw  syscall.RawConn
	turn chan struct{} // one waits at a time: the deadline is the file's
	gone atomic.Bool   // close was called: a RawConn says it with an error that has no name
}

// newWaiter watches a duplicate of fd, which must be non-blocking: the library closes its own.
func newWaiter(fd int, name string) (*waiter, error) {
	syscall.ForkLock.RLock()
	dup, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(dup)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, &Error{Op: "watch", Name: name, Err: err, Hint: "raise the limit of open files (ulimit -n)"}
	}
	file := os.NewFile(uintptr(dup), name)
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // fails when the netpoller does not take it
	}
	if err != nil {
		file.Close()
		return nil, used("watch", name, err)
	}
	return &waiter{file: file, raw: raw, turn: make(chan struct{}, 1)}, nil
}

// wait calls try until it returns true: now, and whenever the descriptor has become readable. try does not block and
// takes all there is to read before it returns false.
func (w *waiter) wait(ctx context.Context, try func() bool) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if ctx.Done() != nil {
		if err := w.file.SetReadDeadline(time.Time{}); err != nil {
			return w.explain(err)
		}
		late := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(late)
			_ = w.file.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed file, which wakes as well
		})
		defer func() {
			if !stop() {
				<-late // lest it ends the next one's wait
				_ = w.file.SetReadDeadline(time.Time{})
			}
		}()
	}
	err := w.raw.Read(func(uintptr) bool { return try() })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return w.explain(err)
}

func (w *waiter) explain(err error) error {
	if err != nil && w.gone.Load() {
		return ErrClosed
	}
	return err
}

// close wakes whoever waits and returns when they are gone. try must be able to return meanwhile.
func (w *waiter) close() {
	w.gone.Store(true)
	w.file.Close()
}
