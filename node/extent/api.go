package extent

import (
	"encoding/hex"
	"errors"
	"time"
)

// Limits of a chunk record.
const (
	// MaxMeta bounds the self-description that a chunk carries.
	MaxMeta = 12 << 10
	// MaxInline is the longest chunk that Append takes in one piece.
	MaxInline = 64 << 10
	// OwnFile is the chunk length from which a chunk gets an extent of its own,
	// so that deleting it is an unlink.
	OwnFile = 8 << 20
	// MaxChunk bounds a chunk: a 5 GiB part with one data shard, encrypted.
	MaxChunk = 5<<30 + 4<<20
)

// Errors of a target. All others are of the file system beneath and mean that
// the target, not the chunk, is in trouble.
var (
	// ErrNotFound: no such chunk on this target.
	ErrNotFound = errors.New("chunk not found")
	// ErrCorrupt: bytes on this target do not match their checksum.
	ErrCorrupt = errors.New("chunk corrupt")
	// ErrExists: the chunk is there already.
	ErrExists = errors.New("chunk exists")
	// ErrFull: the target has no room. Deleting makes room.
	ErrFull = errors.New("target full")
	// ErrFenced: the target belongs to another owner or epoch now.
	ErrFenced = errors.New("target fenced")
	// ErrOffline: the target's directory is missing, not formatted, or closed.
	ErrOffline = errors.New("target offline")
	// ErrInvalid: a request that cannot be, such as a length out of range.
	ErrInvalid = errors.New("invalid chunk request")
)

// SetID names the chunks of one object part.
type SetID [16]byte

// String is lower-case hexadecimal.
func (s SetID) String() string { return hex.EncodeToString(s[:]) }

// ID names a chunk: shard Index of a chunk set.
type ID struct {
	Set   SetID
	Index uint8
}

// Info is what a target knows of a chunk without reading its bytes.
type Info struct {
	ID      ID
	Length  int64 // bytes of data
	Created time.Time
}

// Usage of a target.
type Usage struct {
	Total, Free   uint64 // of the file system beneath
	Chunks        uint64
	LiveBytes     uint64 // records of chunks that exist
	DeadBytes     uint64 // space in shared extents that compaction would give back
	Extents       uint64
	SyncedCommits uint64 // group commits: one fdatasync each
	CommitChunks  uint64 // chunks acknowledged by them
}
