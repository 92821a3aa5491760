package store

import "errors"

// Errors of the data path. Those of package metadata pass through as they are.
var (
	// ErrBusy: no memory or no admission in time. The client should try again.
	ErrBusy = errors.New("server busy")
	// ErrFull: too few targets have room for the write.
	ErrFull = errors.New("storage full")
	// ErrUnavailable: too few targets answer.
	ErrUnavailable = errors.New("too few targets available")
	// ErrDamaged: more shards are lost or corrupt than the layout survives.
	ErrDamaged = errors.New("object damaged beyond repair")
	// ErrShortBody: the body ended before Size bytes, or did not end there.
	ErrShortBody = errors.New("body length differs from the announced size")
	// ErrDescriptor: a chunk's self-description cannot be decoded.
	ErrDescriptor = errors.New("invalid chunk descriptor")
	// ErrTooManyParts: the object has as many parts as one may have.
	ErrTooManyParts = errors.New("too many parts")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store closed")

	// errTimeout: a target did not answer in time.
	errTimeout = errors.New("target timed out")
	// errNoTarget: nobody is left to take the shard.
	errNoTarget = errors.New("no target left to write to")
)
