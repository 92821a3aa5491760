package store

import (
	"context"
	"io"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Target is one storage target as the store sees it; *node.Target is one. Every
// method may be called at any time from any goroutine. Memory that a Remote
// names is in use until the call returns, whatever ctx says.
type Target interface {
	Append(ctx context.Context, id extent.ID, meta []byte, data rdma.Remote, crcs []uint64) error
	Create(ctx context.Context, id extent.ID, length int64) (node.Writer, error)
	Read(ctx context.Context, id extent.ID, off int64, dst rdma.Remote) error
	Delete(ctx context.Context, ids []extent.ID) error
	List(ctx context.Context, after *extent.ID, limit int) ([]extent.Info, error)
	Meta(ctx context.Context, id extent.ID) (extent.Info, []byte, error)
	Verify(ctx context.Context, id extent.ID) error
}

// PutRequest is an object to store.
type PutRequest struct {
	Bucket, Key string
	// Size is the exact length of Body.
	Size int64
	// Body is read to io.EOF, in large reads straight into registered blocks.
	// Its error becomes that of Put and nothing is stored.
	Body io.Reader
	// Algorithm is the checksum to compute and keep beside the MD5;
	// checksum.None means CRC64NVME.
	Algorithm checksum.Algorithm
	// Check, when not nil, is called once after Body returned io.EOF and before
	// the object becomes visible; its error becomes that of Put and nothing is
	// stored. It compares what the client promised in headers or trailers.
	Check    func(Sums) error
	Headers  map[string]string
	UserMeta map[string]string
	Tags     map[string]string
	Lock     metadata.Lock
	// Attrs are kept with the version, on the targets too; they are not interpreted.
	Attrs map[string]string
	// Seal, when not nil, encrypts the object. Its sums are those of Body all the same.
	Seal *Seal
	Cond metadata.Condition
	// AppendTo is the object to append Body to, as it was read; nil: Body is an object of its
	// own. What the object is besides stays, so only Algorithm, Check, Cond and Seal, with the
	// object's key, count of the fields above. When another version is current Put fails with
	// metadata.ErrStale.
	AppendTo *metadata.Version
}

// Sums are what was computed while a body was read.
type Sums struct {
	MD5    [16]byte
	Digest metadata.Digest
}

// PutResult describes what was stored.
type PutResult struct {
	ETag      string // without quotes
	VersionID string // as S3 shows it; "" when the bucket was never versioned, and for a part
	Sums      Sums
	Size      int64
	Attrs     map[string]string // of the version; nil for a part
	Modified  time.Time         // as the version or the part has it
}

// PartRequest is a part of a multipart upload to store.
type PartRequest struct {
	Bucket, Key string
	Upload      metadata.UploadID
	Number      int // 1 to metadata.MaxParts
	Size        int64
	Body        io.Reader
	Algorithm   checksum.Algorithm // None means the upload's, and CRC64NVME when it has none
	Check       func(Sums) error
	Seal        *Seal // as in PutRequest, with the upload's key
}

// CompleteRequest makes an object of a multipart upload.
type CompleteRequest struct {
	Bucket, Key string
	Upload      metadata.UploadID
	Parts       []metadata.CompletedPart
	// Lock has the retention for an upload that was created without one.
	Lock metadata.Lock
	// Check, when not nil, sees the object's digest and size before it becomes visible.
	Check func(Sums, int64) error
	Cond  metadata.Condition
}
