package metadata

import (
	"context"
	"errors"
	"fmt"
	"sort"
)

// PartsFor returns the parts that hold bytes [off, off+n) of v, in order; it reads
// only their records and the table of contents. None for an empty object or range.
// ErrStale when the object was removed meanwhile and its parts are gone.
func (db *DB) PartsFor(ctx context.Context, v *Version, off, n int64) ([]PartSpan, error) {
	if n <= 0 || off < 0 || off >= v.Size {
		return nil, nil
	}
	if v.Inline != nil {
		return []PartSpan{{Part: *v.Inline}}, nil
	}
	if v.Upload == (UploadID{}) {
		return nil, nil
	}
	n = min(n, v.Size-off)
	var spans []PartSpan
	err := db.viewParts(ctx, "read parts", v.partition, func(r Reader, s *scratch) error {
		toc, err := readContents(r, s, v.Upload)
		if err != nil {
			return err
		}
		spans = nil
		first := sort.Search(toc.len(), func(i int) bool { return toc.row(i).End > off })
		for i := first; i < toc.len() && toc.start(i) < off+n; i++ {
			span, err := readSpan(r, s, v.Upload, toc, i)
			if err != nil {
				return err
			}
			if span.Part.Size > 0 {
				spans = append(spans, span)
			}
		}
		return nil
	})
	return spans, err
}

// PartByNumber returns the part that was uploaded under a number. An object put in
// one piece has part 1 only, and an empty one no part. ErrInvalidPart when there is none; ErrStale as PartsFor.
func (db *DB) PartByNumber(ctx context.Context, v *Version, number int) (PartSpan, error) {
	if v.Upload == (UploadID{}) {
		if number != 1 || v.Inline == nil {
			return PartSpan{}, fmt.Errorf("part %d: %w", number, ErrInvalidPart)
		}
		return PartSpan{Part: *v.Inline}, nil
	}
	var span PartSpan
	err := db.viewParts(ctx, "read part", v.partition, func(r Reader, s *scratch) error {
		toc, err := readContents(r, s, v.Upload)
		if err != nil {
			return err
		}
		i := sort.Search(toc.len(), func(i int) bool { return int(toc.row(i).Number) >= number })
		if i == toc.len() || int(toc.row(i).Number) != number {
			return fmt.Errorf("part %d: %w", number, ErrInvalidPart)
		}
		if toc.row(i).End > v.Size { // it was appended since
			return fmt.Errorf("part %d: %w", number, ErrInvalidPart)
		}
		span, err = readSpan(r, s, v.Upload, toc, i)
		return err
	})
	return span, err
}

// PartsAfter reads up to limit parts of a multipart v with numbers above after; more tells that
// there are others. ErrStale as PartsFor.
func (db *DB) PartsAfter(ctx context.Context, v *Version, after, limit int) (parts []Part, more bool, err error) {
	if v.PartCount == 0 || limit <= 0 {
		return nil, false, nil
	}
	err = db.viewParts(ctx, "read parts", v.partition, func(r Reader, s *scratch) error {
		parts, more = nil, false
		toc, err := readContents(r, s, v.Upload)
		if err != nil {
			return err
		}
		n := min(toc.len(), v.PartCount) // it may have been appended to since
		i := sort.Search(n, func(i int) bool { return int(toc.row(i).Number) > after })
		for ; i < n; i++ {
			if more = len(parts) == limit; more {
				return nil
			}
			span, err := readSpan(r, s, v.Upload, toc, i)
			if err != nil {
				return err
			}
			parts = append(parts, span.Part)
		}
		return nil
	})
	return parts, more, err
}

// AllParts reads all parts of v in order. ErrStale when v is not what is there any more.
func (db *DB) AllParts(ctx context.Context, v *Version) ([]Part, error) {
	if v.Upload == (UploadID{}) {
		if v.Inline == nil {
			return nil, nil
		}
		return []Part{*v.Inline}, nil
	}
	var parts []Part
	err := db.viewParts(ctx, "read parts", v.partition, func(r Reader, s *scratch) error {
		parts = nil
		var size int64
		err := scanParts(r, s, v.Upload, 1, func(p *Part) bool {
			parts = append(parts, *p)
			size += p.Size
			return true
		})
		if err == nil && size != v.Size {
			err = ErrStale
		}
		return err
	})
	return parts, err
}

// viewParts runs fn where a version was read; where it is not found there, which it is
// when the version was read by no Get, in the other partitions.
func (db *DB) viewParts(ctx context.Context, op string, partition int, fn func(Reader, *scratch) error) error {
	err := db.viewAt(ctx, op, partition, fn)
	for i := 0; i < db.partitions() && errors.Is(err, ErrStale); i++ {
		if i != partition {
			err = db.viewAt(ctx, op, i, fn)
		}
	}
	return err
}

func readContents(r Reader, s *scratch, id UploadID) (contentsView, error) {
	s.key = keyPart(s.key, id, 0)
	raw, err := r.Get(s.key)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ErrStale
	}
	toc, err := viewContents(s.key, raw)
	if err != nil {
		return nil, fmt.Errorf("contents of upload %s: %w", id, err)
	}
	return toc, nil
}

func readSpan(r Reader, s *scratch, id UploadID, toc contentsView, i int) (span PartSpan, err error) {
	row := toc.row(i)
	span.Start = toc.start(i)
	s.key = keyPart(s.key, id, row.Number)
	raw, err := r.Get(s.key)
	if err != nil {
		return span, err
	}
	if raw == nil {
		return span, ErrStale
	}
	if err := decodePart(s.key, raw, &span.Part); err != nil {
		return span, fmt.Errorf("part %d of upload %s: %w", row.Number, id, err)
	}
	if span.Part.Size != row.End-span.Start {
		return span, fmt.Errorf("part %d of upload %s has %d bytes, not %d: %w", row.Number, id, span.Part.Size, row.End-span.Start, ErrCorrupt)
	}
	return span, nil
}
