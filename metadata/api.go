package metadata

import (
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// PutResult tells what a put made.
type PutResult struct {
	// VersionID as S3 shows it: "" in a bucket that was never versioned, "null"
	// while versioning is suspended, else 32 hexadecimal digits.
	VersionID string
	// Repeated: another completion of the upload was first, and nothing refers to the
	// version that was given.
	Repeated bool
}

// DeleteResult tells what a delete did.
type DeleteResult struct {
	// VersionID of the marker that was made, or of the version that was asked to be
	// removed (also when it was absent). "" when the bucket was never versioned and
	// no id was given.
	VersionID string
	// DeleteMarker: a marker was made, or what was removed was one.
	DeleteMarker bool
	// Err is set by DeleteMany only.
	Err error
}

// DeleteItem is one delete of DeleteMany.
type DeleteItem struct {
	Key       string
	VersionID string // as DB.Delete takes it
	Cond      Condition
}

// ListQuery says which page of a listing is wanted.
type ListQuery struct {
	Prefix    string
	Delimiter string // any length; "" for none
	// After: only what sorts after it. A common prefix of this very listing (the
	// Next of a page) skips all keys below it.
	After string
	// AfterVersion continues within the versions of the key After (ListVersions):
	// "" begins with the next key, "null" or 32 hexadecimal digits with the next version.
	AfterVersion string
	// Limit of entries and common prefixes together; above MaxListPage it is
	// MaxListPage. 0 gives an empty page that is not truncated.
	Limit int
}

// ListEntry is a version or a common prefix.
type ListEntry struct {
	CommonPrefix string // then all else is unset
	Key          string
	ID           VersionID
	Null         bool
	DeleteMarker bool
	Latest       bool
	Modified     time.Time
	Size         int64
	MD5          [16]byte
	PartCount    int
	Algorithm    checksum.Algorithm
	Type         checksum.Type
}

// ETag is as Version.ETag.
func (e *ListEntry) ETag() string { return etag(e.MD5, e.PartCount) }

// VersionID is what S3 shows: "null" or 32 hexadecimal digits.
func (e *ListEntry) VersionID() string { return showID(e.ID, e.Null) }

// ListPage is a page of List or ListVersions.
type ListPage struct {
	Entries   []ListEntry
	Truncated bool
	// Next is After of the next page, set when Truncated; NextVersion is its AfterVersion.
	Next        string
	NextVersion string
}

// UploadEntry is an upload or a common prefix.
type UploadEntry struct {
	CommonPrefix string // then Upload is nil
	Upload       *Upload
}

// UploadPage is a page of ListUploads.
type UploadPage struct {
	Entries   []UploadEntry
	Truncated bool
	// NextKey and NextUpload are the markers of the next page, set when Truncated.
	NextKey    string
	NextUpload string
}

// CompletedPart is what a client says of a part when it completes an upload.
type CompletedPart struct {
	Number uint16
	ETag   string // without quotes
	Digest Digest // not compared when Sum is empty
	// Set is filled in by PrepareComplete; Complete fails with ErrStale if the part
	// was replaced since. Zero: not compared.
	Set SetID
}

// PartSpan is a part and where its first byte is in the object.
type PartSpan struct {
	Part  Part
	Start int64
}

// BucketUsage counts what a bucket holds.
type BucketUsage struct {
	Bucket   string
	Objects  int64 // current versions
	Versions int64 // all versions, without markers
	Markers  int64
	Uploads  int64 // under way
	Bytes    int64 // of all versions
}

// CompletedError is returned by PrepareComplete for an upload that was already
// completed with the same parts and made the current version: a retry, that is
// to be answered like the first call. errors.Is(err, ErrNoSuchUpload) holds.
type CompletedError struct {
	Version *Version
	Result  PutResult
}

func (e *CompletedError) Error() string { return "upload was completed already" }

// Is makes it an ErrNoSuchUpload.
func (e *CompletedError) Is(target error) bool { return target == ErrNoSuchUpload }
