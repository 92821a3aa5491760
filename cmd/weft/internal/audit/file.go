package audit

import (
	"bytes"
	"errors"
	"os"
)

// buffer has lines that are not in the file yet: those that do not fit on the disk wait for room.
type buffer struct {
	f *os.File
	b []byte
}

// Write takes a line, or fails when it is full and cannot be written out.
func (w *buffer) Write(b []byte) (int, error) {
	if len(w.b)+len(b) > bufferBytes {
		if err := w.out(); err != nil {
			return 0, err
		}
	}
	w.b = append(w.b, b...)
	return len(b), nil
}

// out writes what is there. After an error the next one goes on where it ended, in the midst of a line too.
func (w *buffer) out() error {
	if len(w.b) == 0 {
		return nil
	}
	n, err := w.f.Write(w.b)
	w.b = append(w.b[:0], w.b[n:]...)
	return err
}

// left counts the lines that are not whole in the file.
func (w *buffer) left() int { return bytes.Count(w.b, []byte("\n")) }

// file is a sink.
type file struct {
	path string
	buffer
}

func (f *file) reopen() (err error) {
	f.f, err = os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	return err
}

// Flush also finds out whether the file was moved away.
func (f *file) Flush() error {
	err := f.out()
	if err == nil {
		here, serr := f.f.Stat()
		there, terr := os.Stat(f.path)
		if serr == nil && terr == nil && os.SameFile(here, there) {
			return nil
		}
	}
	old := f.f
	if oerr := f.reopen(); oerr != nil {
		f.f = old
		return errors.Join(err, oerr)
	}
	return errors.Join(err, old.Close())
}

func (f *file) Close() (lost int, err error) {
	err = f.out()
	return f.left(), errors.Join(err, f.f.Close())
}
