package metadata

import (
	"errors"
	"fmt"
)

// Errors of the S3 semantics. All are wrapped with the operation.
var (
	ErrNoSuchBucket   = errors.New("no such bucket")
	ErrBucketExists   = errors.New("bucket exists")
	ErrBucketNotEmpty = errors.New("bucket not empty")
	ErrTooManyBuckets = errors.New("too many buckets")
	ErrNoSuchKey      = errors.New("no such key")
	ErrNoSuchVersion  = errors.New("no such version")
	// ErrInvalidVersionID: not "null" and not 32 hexadecimal digits. It is an ErrNoSuchVersion.
	ErrInvalidVersionID = fmt.Errorf("invalid version id: %w", ErrNoSuchVersion)
	// ErrInvalidKey: empty, longer than MaxKey or with a NUL in it.
	ErrInvalidKey       = errors.New("invalid key")
	ErrNoSuchUpload     = errors.New("no such upload")
	ErrPrecondition     = errors.New("precondition failed")
	ErrInvalidPart      = errors.New("invalid part")
	ErrInvalidPartOrder = errors.New("invalid part order")
	ErrPartTooSmall     = errors.New("part too small")
	// ErrLocked: retention or a legal hold forbids it; nothing was done.
	ErrLocked = errors.New("protected by object lock")
	// ErrNotVersioned: locks need a bucket in which versioning is enabled.
	ErrNotVersioned = errors.New("versioning is not enabled")
	// ErrVersioned: it needs a bucket that was never versioned.
	ErrVersioned = errors.New("the bucket is or was versioned")
	// ErrTokenReused: another request had the same token.
	ErrTokenReused = errors.New("token of another request")
	// ErrQuota: the bucket or its owner may not have more; nothing was done.
	ErrQuota = errors.New("quota exceeded")
	// ErrStale: the record changed since the caller read it; nothing was done.
	ErrStale = errors.New("record changed")
	// ErrOvertaken is ErrStale where the version is another than the one that was seen.
	ErrOvertaken = fmt.Errorf("another version took its place: %w", ErrStale)
	// ErrReplaced: the bucket of WithBucket was deleted, and another has its name.
	ErrReplaced = errors.New("bucket was replaced by another of its name")
	// ErrTooLarge: a key or a value is beyond the limits of KV.
	ErrTooLarge = errors.New("key or value too large")
	// ErrFenced: the process lost the right to commit; nothing was done.
	ErrFenced = errors.New("this process is not a member of the cluster any more")
	// ErrUnavailable: the engine does not answer now; nothing was done. Try again.
	ErrUnavailable = errors.New("metadata does not answer")
	// ErrUnknown: the engine did not tell whether a commit happened. It may have, or may yet.
	ErrUnknown = errors.New("outcome of a metadata commit is unknown; check the etcd cluster, or the disk that has the metadata")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("metadata engine closed")
	// ErrCorrupt: a record does not match its checksum or cannot be decoded.
	ErrCorrupt = errors.New("metadata corrupt")
)

// DeleteMarkerError is returned in place of ErrNoSuchKey when the version asked
// for is a delete marker. errors.Is(err, ErrNoSuchKey) holds for it.
type DeleteMarkerError struct {
	Marker  *Version
	Current bool // it is the current version; otherwise it was asked for by id
}

func (e *DeleteMarkerError) Error() string { return "version is a delete marker" }

// Is makes it an ErrNoSuchKey.
func (e *DeleteMarkerError) Is(target error) bool { return target == ErrNoSuchKey }
