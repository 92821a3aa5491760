package metadata

import (
	"context"
	"errors"
	"io"
)

var errTODO = errors.New("not there yet")

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
