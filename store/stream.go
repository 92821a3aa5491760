package store

import (
	"context"
	"io"
)

// Stream is a byte range of an object.
type Stream struct{}

func (o *Object) Read(ctx context.Context, off, n int64) (*Stream, error) { return nil, ErrUnavailable }
func (st *Stream) WriteTo(w io.Writer) (int64, error)                     { return 0, ErrUnavailable }
func (st *Stream) Read(p []byte) (int, error)                             { return 0, ErrUnavailable }
func (st *Stream) Close() error                                           { return nil }
