package s3api

import (
	"context"
	"io"
	"net/http"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// Authenticator says who sent a request; *sigv4.Verifier is one. The error for
// a request without credentials is sigv4.ErrAnonymous.
type Authenticator interface {
	Verify(r *http.Request) (*sigv4.Result, error)
	// VerifyPost says who signed the policy of a form.
	VerifyPost(ctx context.Context, f *sigv4.Post) (*sigv4.Result, error)
}

// Buckets keeps buckets; *metadata.DB does.
type Buckets interface {
	MakeBucket(ctx context.Context, b metadata.Bucket) (*metadata.Bucket, error)
	Bucket(ctx context.Context, name string) (*metadata.Bucket, error)
	Buckets(ctx context.Context) ([]metadata.Bucket, error)
	DeleteBucket(ctx context.Context, name string) error
	SetVersioning(ctx context.Context, name string, state metadata.VersioningState) error
	SetBucketConfig(ctx context.Context, name, config, document string) error
	SetBucketTags(ctx context.Context, name string, tags map[string]string) error
}

// Versions changes what is said of objects without touching their bytes;
// *metadata.DB does. A version id is S3's: "" for the current one, "null", or
// 32 hexadecimal digits.
type Versions interface {
	Delete(ctx context.Context, bucket, key, versionID string, cond metadata.Condition) (metadata.DeleteResult, error)
	DeleteMany(ctx context.Context, bucket string, items []metadata.DeleteItem) ([]metadata.DeleteResult, error)
	SetAttr(ctx context.Context, bucket, key, versionID string, seen metadata.VersionID, name, value string) (string, error)
	SetTags(ctx context.Context, bucket, key, versionID string, seen metadata.VersionID, tags map[string]string) (string, error)
}

// Listings lists keys in UTF-8 order; *metadata.DB does.
type Listings interface {
	List(ctx context.Context, bucket string, q metadata.ListQuery) (*metadata.ListPage, error)
	ListVersions(ctx context.Context, bucket string, q metadata.ListQuery) (*metadata.ListPage, error)
}

// Uploads keeps multipart uploads; *metadata.DB does.
type Uploads interface {
	// CreateUpload gives u its ID.
	CreateUpload(ctx context.Context, bucket string, u *metadata.Upload) error
	Upload(ctx context.Context, bucket, key string, id metadata.UploadID) (*metadata.Upload, error)
	ListParts(ctx context.Context, bucket, key string, id metadata.UploadID, after, limit int) ([]metadata.Part, bool, error)
	Abort(ctx context.Context, bucket, key string, id metadata.UploadID) error
	ListUploads(ctx context.Context, bucket, prefix, delimiter, keyMarker, uploadMarker string, limit int) (*metadata.UploadPage, error)
}

// Objects stores and reads bytes; [FromStore] makes one of a *store.Store.
type Objects interface {
	Put(ctx context.Context, r *store.PutRequest) (*store.PutResult, error)
	Open(ctx context.Context, bucket, key, versionID string) (Object, error)
	PutPart(ctx context.Context, r *store.PartRequest) (*store.PutResult, error)
	Complete(ctx context.Context, r *store.CompleteRequest) (*store.PutResult, error)
	Rename(ctx context.Context, r *store.RenameRequest) error
	// SetLock returns the version's id.
	SetLock(ctx context.Context, bucket, key, versionID string, c metadata.LockChange) (string, error)
}

// Object is a version that was opened for reading. It belongs to one goroutine
// and must be closed.
type Object interface {
	// Info returns the version, read-only, and its id as S3 shows it: "" in a
	// bucket that was never versioned.
	Info() (*metadata.Version, string)
	// Read opens n bytes from off; the first of them are verified already.
	Read(ctx context.Context, off, n int64) (Stream, error)
	// Part finds a part of a multipart object by the number that it was uploaded under;
	// metadata.ErrInvalidPart.
	Part(ctx context.Context, number int) (off, n int64, part *metadata.Part, err error)
	// Parts returns parts with numbers above after.
	Parts(ctx context.Context, after, limit int) (parts []metadata.Part, truncated bool, err error)
	// Unlock gives the key of an object that was stored with a store.Seal; Read needs it.
	// The object keeps it.
	Unlock(key *[32]byte)
	Close()
}

// Stream gives the bytes of an object in order. After an error nothing that it
// gave may be taken for the whole.
type Stream interface {
	io.ReadCloser
	io.WriterTo
}
