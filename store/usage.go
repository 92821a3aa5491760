package store

import (
	"context"

	"github.com/weftstore/weft/metadata"
)

// UsageReport counts what the store holds.
type UsageReport struct {
	Buckets []BucketUsage `json:"buckets"`
	Total   BucketUsage   `json:"total"` // its Bucket is ""
}

// BucketUsage counts what a bucket holds.
type BucketUsage struct {
	Bucket   string `json:"bucket,omitempty"`
	Objects  int64  `json:"objects"`  // current versions
	Versions int64  `json:"versions"` // all, without delete markers
	Markers  int64  `json:"markers"`
	Uploads  int64  `json:"uploads"` // under way
	Bytes    int64  `json:"bytes"`   // of user data in all versions
}

// Usage walks all buckets.
func (s *Store) Usage(ctx context.Context, report Report) (*UsageReport, error) {
	list, err := s.meta.Usage(ctx)
	if err != nil {
		return nil, err
	}
	p := newProgress(report, "usage")
	r := &UsageReport{Buckets: make([]BucketUsage, 0, len(list))}
	for _, b := range list {
		u := usageOf(b)
		r.Buckets = append(r.Buckets, u)
		r.Total.Objects += u.Objects
		r.Total.Versions += u.Versions
		r.Total.Markers += u.Markers
		r.Total.Uploads += u.Uploads
		r.Total.Bytes += u.Bytes
		p.add(u.Versions, u.Bytes)
	}
	return r, nil
}

func usageOf(b metadata.BucketUsage) BucketUsage {
	return BucketUsage{b.Bucket, b.Objects, b.Versions, b.Markers, b.Uploads, b.Bytes}
}
