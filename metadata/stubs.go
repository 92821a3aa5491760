package metadata

import (
	"context"
	"errors"
	"io"
)

var errTODO = errors.New("not there yet")

type bucketCache struct{}

func (db *DB) CreateBucket(ctx context.Context, name, region string) (*Bucket, error) {
	return nil, errTODO
}
func (db *DB) Bucket(ctx context.Context, name string) (*Bucket, error) { return nil, errTODO }
func (db *DB) Buckets(ctx context.Context) ([]Bucket, error)            { return nil, errTODO }
func (db *DB) DeleteBucket(ctx context.Context, name string) error      { return errTODO }
func (db *DB) SetVersioning(ctx context.Context, name string, state VersioningState) error {
	return errTODO
}
func (db *DB) SetBucketTags(ctx context.Context, name string, tags map[string]string) error {
	return errTODO
}
func (db *DB) Put(ctx context.Context, bucket string, v *Version, cond Condition) (PutResult, error) {
	return PutResult{}, errTODO
}
func (db *DB) Get(ctx context.Context, bucket, key, id string) (*Version, *Bucket, error) {
	return nil, nil, errTODO
}
func (db *DB) Delete(ctx context.Context, bucket, key, id string, cond Condition) (DeleteResult, error) {
	return DeleteResult{}, errTODO
}
func (db *DB) DeleteMany(ctx context.Context, bucket string, items []DeleteItem) ([]DeleteResult, error) {
	return nil, errTODO
}
func (db *DB) SetTags(ctx context.Context, bucket, key, id string, tags map[string]string) (versionID string, err error) {
	return "", errTODO
}
func (db *DB) List(ctx context.Context, bucket string, q ListQuery) (*ListPage, error) {
	return nil, errTODO
}
func (db *DB) ListVersions(ctx context.Context, bucket string, q ListQuery) (*ListPage, error) {
	return nil, errTODO
}
func (db *DB) CreateUpload(ctx context.Context, bucket string, u *Upload) error { return errTODO }
func (db *DB) Upload(ctx context.Context, bucket, key string, id UploadID) (*Upload, error) {
	return nil, errTODO
}
func (db *DB) PutPart(ctx context.Context, bucket, key string, id UploadID, p *Part) error {
	return errTODO
}
func (db *DB) ListParts(ctx context.Context, bucket, key string, id UploadID, after, limit int) (parts []Part, truncated bool, err error) {
	return nil, false, errTODO
}
func (db *DB) PrepareComplete(ctx context.Context, bucket, key string, id UploadID, parts []CompletedPart) ([]Part, *Upload, error) {
	return nil, nil, errTODO
}
func (db *DB) Complete(ctx context.Context, bucket, key string, id UploadID, parts []CompletedPart, v *Version, cond Condition) (PutResult, error) {
	return PutResult{}, errTODO
}
func (db *DB) Abort(ctx context.Context, bucket, key string, id UploadID) error { return errTODO }
func (db *DB) ListUploads(ctx context.Context, bucket, prefix, delimiter, keyMarker, uploadMarker string, limit int) (*UploadPage, error) {
	return nil, errTODO
}
func (db *DB) PartsFor(ctx context.Context, v *Version, off, n int64) ([]PartSpan, error) {
	return nil, errTODO
}
func (db *DB) PartByNumber(ctx context.Context, v *Version, number int) (PartSpan, error) {
	return PartSpan{}, errTODO
}
func (db *DB) AddGarbage(ctx context.Context, sets []Garbage) error { return errTODO }
func (db *DB) Garbage(ctx context.Context, limit int) ([]Garbage, error) {
	return nil, errTODO
}
func (db *DB) GarbageAfter(ctx context.Context, after uint64, limit int) ([]Garbage, error) {
	return nil, errTODO
}
func (db *DB) GarbageDone(ctx context.Context, seqs []uint64) error { return errTODO }
func (db *DB) AddDamage(ctx context.Context, ds []Damage) error     { return errTODO }
func (db *DB) Damage(ctx context.Context, after SetID, limit int) ([]Damage, error) {
	return nil, errTODO
}
func (db *DB) DamageDone(ctx context.Context, set SetID) error { return errTODO }
func (db *DB) UpdatePart(ctx context.Context, ref PartRef, edit func(*Part) error) error {
	return errTODO
}
func (db *DB) PartFor(ctx context.Context, ref PartRef) (*Part, error) { return nil, errTODO }
func (db *DB) Targets(ctx context.Context) ([]Target, error)           { return nil, errTODO }
func (db *DB) AddTarget(ctx context.Context, uuid [16]byte, path string) (TargetID, error) {
	return 0, errTODO
}
func (db *DB) SetTarget(ctx context.Context, t Target) error { return errTODO }
func (db *DB) WalkParts(ctx context.Context, from []byte, limit int, fn func(PartRef, *Part) error) (next []byte, err error) {
	return nil, errTODO
}
func (db *DB) Usage(ctx context.Context) ([]BucketUsage, error)  { return nil, errTODO }
func (db *DB) SnapshotTo(ctx context.Context, w io.Writer) error { return errTODO }
func Restore(ctx context.Context, r io.Reader, into KV) error    { return errTODO }
func (db *DB) ImportVersion(ctx context.Context, bucket string, v *Version, parts []Part) error {
	return errTODO
}
func EncodeVersion(dst []byte, v *Version) []byte                { return dst }
func DecodeVersion(b []byte) (*Version, error)                   { return nil, errTODO }
func EncodePart(dst []byte, p *Part) []byte                      { return dst }
func DecodePart(b []byte) (*Part, error)                         { return nil, errTODO }
func EncodeManifest(dst []byte, v *Version, parts []Part) []byte { return dst }
func DecodeManifest(b []byte) (*Version, []Part, error)          { return nil, nil, errTODO }
