package audit

import (
	"bufio"
	"errors"
	"os"
)

// file is a sink.
type file struct {
	path string
	f    *os.File
	w    *bufio.Writer
}

func newWriter(f *os.File) *bufio.Writer { return bufio.NewWriterSize(f, 64<<10) }

func (f *file) reopen() (err error) {
	f.f, err = os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	return err
}

func (f *file) Write(b []byte) (int, error) { return f.w.Write(b) }

// Flush also finds out whether the file was moved away.
func (f *file) Flush() error {
	err := f.w.Flush()
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
	f.w.Reset(f.f)
	return errors.Join(err, old.Close())
}

func (f *file) Close() error { return errors.Join(f.w.Flush(), f.f.Close()) }
