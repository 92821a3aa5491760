package metadata

import "context"

// Get reads a version of an object and its bucket's record (shared, read-only). id
// is "" for the current version, "null" or 32 hexadecimal digits.
//
// ErrNoSuchBucket; ErrNoSuchKey when no version is current; ErrNoSuchVersion when
// an id is given that is not there, ErrInvalidVersionID when it cannot be one;
// *DeleteMarkerError when the version is a delete marker. The bucket is returned
// with all errors but the first.
func (db *DB) Get(ctx context.Context, bucket, key, id string) (*Version, *Bucket, error) {
	var v *Version
	var b *Bucket
	err := db.viewIn(ctx, "get object", bucket, func(r Reader, s *scratch, found *Bucket) (err error) {
		b = found
		v, _, err = get(r, s, b, key, id)
		if v != nil {
			v.partition = s.partition
		}
		return err
	})
	if err != nil {
		return nil, b, err
	}
	return v, b, nil
}

// get is Get within a transaction; inO tells that the record is in space o.
func get(r Reader, s *scratch, b *Bucket, key, id string) (v *Version, inO bool, err error) {
	cur, err := readCurrent(r, s, b.ID, key)
	if err != nil {
		return nil, false, err
	}
	if id == "" {
		if cur != nil {
			return cur, true, nil
		}
		if b.Versioning == Unversioned {
			return nil, false, ErrNoSuchKey
		}
		marker, err := readNewestOld(r, s, b.ID, key)
		if err == nil {
			err = ErrNoSuchKey
			if marker != nil && marker.DeleteMarker {
				err = &DeleteMarkerError{Marker: marker, Current: true}
			}
		}
		return nil, false, err
	}
	if v, err = find(r, s, b, cur, key, id); err != nil {
		return nil, false, err
	}
	if v == nil {
		return nil, false, ErrNoSuchVersion
	}
	if !v.DeleteMarker {
		return v, v == cur, nil
	}
	current := false
	if cur == nil {
		newest, err := readNewestOld(r, s, b.ID, key)
		if err != nil {
			return nil, false, err
		}
		current = newest != nil && newest.ID == v.ID
	}
	return nil, false, &DeleteMarkerError{Marker: v, Current: current}
}
