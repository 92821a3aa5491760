// Package vfs is the part of a file system that the extent store needs, as an
// interface small enough to be faked: internal/faultfs fails, loses unsynced
// writes and crashes behind it; OS is the real one.
//
// Names are slash-separated and relative to the root that the FS was made for.
// All methods are safe for concurrent use; so are ReadAt and WriteAt of a File.
package vfs

import "io"

// FS is a directory tree.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a new file, 0600; fs.ErrExist when the name is taken. The
	// name is durable only after SyncDir.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// List is the names in a directory, sorted.
	List(dir string) ([]string, error)
	MkdirAll(dir string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	Space
}

// Space is what a file system has room for.
type Space interface {
	// Usage is the size of the file system and what is left for us, in bytes.
	Usage() (total, free uint64, err error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Writev writes the buffers one after the other at off, in one system call
	// where there is one.
	Writev(bufs [][]byte, off int64) error
	// Allocate reserves [off, off+n) on disk and extends the file over it. A file
	// system that cannot reserve extends only.
	Allocate(off, n int64) error
	// SyncData makes what was written durable, and the size that reading it back
	// needs (fdatasync).
	SyncData() error
	// StartWriteback asks the kernel to start writing a range, and does not wait.
	StartWriteback(off, n int64)
	Truncate(size int64) error
	Size() (int64, error)
	Close() error
}
