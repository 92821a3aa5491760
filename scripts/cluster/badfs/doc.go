// Package badfs mounts a directory by FUSE at another place and lets it fail while processes use it: with EIO, with
// ENOSPC, or with a delay before every request. It stands for a disk or a parallel file system that is ill.
//
// Main type: [FS], safe for concurrent use. It speaks the kernel's protocol (linux/fuse.h, version 7.31) itself, as
// much of it as targets need: files and directories, no links, no extended attributes, no locks. Nothing is cached, so
// that a fault holds for the next request. It needs root and /dev/fuse.
package badfs
