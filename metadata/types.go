package metadata

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// Limits that S3 sets.
const (
	MaxKey       = 1024 // bytes of an object key
	MaxParts     = 10000
	MinPartSize  = 5 << 20 // of every part but the last
	MaxUserMeta  = 2 << 10 // bytes of names and values together
	MaxTags      = 10      // of an object; 50 of a bucket
	MaxBuckets   = 1000
	MaxListPage  = 1000
	VersionIDLen = 16
)

// VersionID identifies a version of a key, newest first in byte order: 8 bytes
// of inverted time in nanoseconds (strictly decreasing within a process) and 8
// random ones.
type VersionID [VersionIDLen]byte

// String is 32 hexadecimal digits.
func (v VersionID) String() string { return hex.EncodeToString(v[:]) }

// SetID names the chunks of one part on the targets.
type SetID [16]byte

// TargetID names a target in placements: a small number that the targets table
// gives out once and never again. 0 means "nowhere": a shard that is missing.
type TargetID uint16

// Digest is a checksum of user data.
type Digest struct {
	Algorithm checksum.Algorithm
	Type      checksum.Type
	Sum       []byte // raw; for COMPOSITE the digest of digests, part count apart
}

// Part is where a run of an object's bytes is stored, and how it is cut: K data
// and M parity shards, blocks of Block bytes. The package stores the geometry
// and does not interpret it.
type Part struct {
	Number   uint16 // 1 to MaxParts; 1 for an object put in one piece
	Set      SetID
	K, M     uint8
	Block    uint32     // bytes of a full block
	Size     int64      // bytes of user data
	Targets  []TargetID // by shard index; len = K+M, at most 255
	MD5      [16]byte
	Digest   Digest
	Modified time.Time // millisecond precision
	// Sealed: what is stored is longer than Size, as the layer above encrypted it.
	Sealed bool
}

// Version is one version of an object, or a delete marker.
type Version struct {
	Key          string
	ID           VersionID
	Null         bool // S3 calls it "null": written while versioning was not enabled
	DeleteMarker bool
	Modified     time.Time // millisecond precision
	Size         int64
	MD5          [16]byte // of the object, or of the parts' MD5s when PartCount > 0
	PartCount    int      // parts of a multipart upload; 0 when put in one piece
	Digest       Digest
	Headers      map[string]string // Content-Type, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires; canonical names
	UserMeta     map[string]string // without the x-amz-meta- prefix, lower case
	Tags         map[string]string
	// Attrs are what the layers above keep with a version besides, by names of theirs.
	// The targets have them too.
	Attrs map[string]string
	// Inline is the only part of an object put in one piece; nil when Upload is set, and
	// for an empty object.
	Inline *Part
	// Upload is set for a multipart object: its parts are stored under it. It is also set
	// for an object put in one piece that was renamed or appended to; see UploadOf.
	Upload UploadID
	// Manifest describes an object with an Upload on the targets (a small part whose
	// bytes are the encoded version and its parts), nil otherwise.
	Manifest *Part
	// Lock protects the version from being removed.
	Lock Lock
	// LockPart says Lock on the targets when it was changed after the version was
	// written (a part of no bytes, whose descriptor has it); nil otherwise.
	LockPart *Part

	partition int // where it was read
}

// ETag is the entity tag without quotes: MD5 in hexadecimal, with "-N" for a
// multipart object of N parts.
func (v *Version) ETag() string { return etag(v.MD5, v.PartCount) }

// VersioningState of a bucket.
type VersioningState uint8

// The states in S3's words; a bucket starts out Unversioned.
const (
	Unversioned VersioningState = iota
	VersioningEnabled
	VersioningSuspended
)

// Bucket is a bucket's record.
type Bucket struct {
	Name       string
	ID         uint64 // never given out again, so that a bucket of the same name starts empty
	Created    time.Time
	Region     string
	Versioning VersioningState
	Tags       map[string]string
	// Owner is the id of the account whose bucket it is; "" is the root account's.
	Owner string
	// Configs are documents by the name of the sub-resource in S3's API ("policy",
	// "ownershipControls"), as the layer above encodes them.
	Configs map[string]string

	partition int // where it is
}

// UploadID names a multipart upload; String is what S3 clients see.
type UploadID [16]byte

// String is 32 hexadecimal digits.
func (u UploadID) String() string { return hex.EncodeToString(u[:]) }

// Upload is a multipart upload under way. Its Template becomes the Version.
type Upload struct {
	ID        UploadID
	Key       string
	Initiated time.Time
	Template  Version // Headers, UserMeta, Tags, Attrs, Lock; the rest unset
	Algorithm checksum.Algorithm
	Type      checksum.Type
}

// Condition is what must hold for the current version of a key when a change
// is made, evaluated in the same transaction. The zero value always holds.
type Condition struct {
	// IfMatch: the current version exists and its ETag is among these ("*"
	// matches any). ETags are without quotes.
	IfMatch []string
	// IfNoneMatch: no current version has one of these ETags ("*": there is none).
	IfNoneMatch []string
	// ModifiedSince and UnmodifiedSince compare with the version's time, to the second, where
	// IfNoneMatch or IfMatch says nothing. Without an object the former does not hold.
	ModifiedSince, UnmodifiedSince time.Time
	// Size and Modified, of a delete: that of the version, the time to the second. They
	// hold when there is nothing to delete, and not for a delete marker.
	Size     *int64
	Modified time.Time
	// ID: the version is this one; zero is any.
	ID VersionID
	// Seen: the version is this one, zero is any; Unseen: there is none. When all else holds
	// and this does not, the error is ErrOvertaken.
	Seen   VersionID
	Unseen bool
	// Noncurrent: the version that is to be removed is not the current one.
	Noncurrent bool
	// BypassGovernance: a version under governance retention may be removed.
	BypassGovernance bool
}

// Garbage is a chunk set that nothing refers to any more.
type Garbage struct {
	Seq     uint64 // position in the queue
	Set     SetID
	Targets []TargetID // by shard index
	Since   time.Time
}

// PartRef says which record holds a Part, so that repair can move its shards.
type PartRef struct {
	BucketID uint64
	Key      string
	Version  VersionID // of an inline part, a manifest or a LockPart
	Upload   UploadID  // of a multipart part; zero otherwise
	Number   uint16    // part number; 0 is the manifest, LockPartNumber the LockPart
	Set      SetID     // what the record must hold, or else ErrStale; zero: anything
}

// Damage is a repair-queue entry: shards of a part that are missing or wrong.
type Damage struct {
	Ref    PartRef
	Set    SetID
	Shards uint64 // bit i: shard i
	Since  time.Time
}

// Target is a row of the targets table.
type Target struct {
	ID      TargetID
	UUID    [16]byte // in the target's superblock
	Path    string   // where it was seen last
	Added   time.Time
	Mount   bool // Path was a mount point when the target was added
	Retired bool // nothing is on it any more, and it does not come back
	// Draining: it takes no new shards, and those that it has move elsewhere.
	Draining bool
}

func etag(sum [16]byte, parts int) string {
	b := make([]byte, 0, 40)
	b = hex.AppendEncode(b, sum[:])
	if parts > 0 {
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(parts), 10)
	}
	return string(b)
}
