package metadata

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxWalk bounds what WalkParts holds in memory.
const maxWalk = 10000

// WalkParts calls fn for parts of versions, of uploads under way, and for manifests,
// about limit of them from where an earlier call ended (nil: the start), and returns
// where to go on, nil at the end. The records are read in one snapshot, which is let
// go before fn is called, so fn may take its time; its error ends the walk and is
// returned as it is.
//
// A part that is there from the first call to the last is passed at least once,
// whatever changes in between, but for one whose object is renamed; it is passed twice
// when its version stops being current at the wrong moment. Garbage is not passed.
func (db *DB) WalkParts(ctx context.Context, from []byte, limit int, fn func(PartRef, *Part) error) (next []byte, err error) {
	pos, err := parseWalkPos(from)
	if err != nil {
		return nil, err
	}
	var w walker
	err = db.viewAll(ctx, "walk parts", func(all []Reader, s *scratch) error {
		w = walker{all: all, s: s, limit: min(max(limit, 1), maxWalk), pos: pos}
		next, err = w.run()
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range w.out {
		if err := fn(w.out[i].ref, &w.out[i].part); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// walkPos is a place in a walk: bucket by bucket, in each the uploads and then the
// versions, so that an upload completed meanwhile is not missed.
type walkPos struct {
	space  byte // spaceUpload or spaceVersion
	bucket uint64
	cur    VersionID // of the record in o that was passed for key. Another one there must be passed too: it may have been promoted
	id     [idLen]byte
	number uint16 // of the part to go on with, walkDone when the record is done
	key    string
}

const (
	walkDone   = ^uint16(0)
	walkPosLen = 1 + 8 + idLen + idLen + 2
)

func (p *walkPos) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{p.space}, p.bucket)
	b = append(append(b, p.cur[:]...), p.id[:]...)
	return append(binary.BigEndian.AppendUint16(b, p.number), p.key...)
}

func parseWalkPos(b []byte) (p walkPos, err error) {
	if len(b) == 0 {
		return walkPos{space: spaceUpload}, nil
	}
	if len(b) < walkPosLen || b[0] != spaceUpload && b[0] != spaceVersion {
		return p, fmt.Errorf("walk parts: position of %d bytes does not decode: %w", len(b), ErrCorrupt)
	}
	p.space, p.bucket = b[0], binary.BigEndian.Uint64(b[1:])
	copy(p.cur[:], b[9:])
	copy(p.id[:], b[9+idLen:])
	p.number = binary.BigEndian.Uint16(b[9+2*idLen:])
	p.key = string(b[walkPosLen:])
	return p, nil
}

type walker struct {
	all   []Reader
	r     Reader // of the bucket
	s     *scratch
	limit int
	pos   walkPos
	out   []walked
}

type walked struct {
	ref  PartRef
	part Part
}

func (w *walker) full() bool { return len(w.out) >= w.limit }

func (w *walker) run() (next []byte, err error) {
	buckets, err := bucketsOf(w.all)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(buckets, func(a, b Bucket) int { return cmp.Compare(a.ID, b.ID) })
	for _, b := range buckets {
		if b.ID < w.pos.bucket {
			continue
		}
		if b.ID > w.pos.bucket {
			w.pos = walkPos{space: spaceUpload, bucket: b.ID}
		}
		w.r = w.all[b.partition]
		if w.pos.space == spaceUpload {
			if err := w.uploads(); err != nil {
				return nil, err
			}
			if w.full() {
				return w.pos.encode(), nil
			}
			w.pos = walkPos{space: spaceVersion, bucket: b.ID}
		}
		if err := w.versions(); err != nil {
			return nil, err
		}
		if w.full() {
			return w.pos.encode(), nil
		}
	}
	return nil, nil
}

// uploads passes parts of uploads under way in the bucket from pos on.
func (w *walker) uploads() error {
	from := keyIn(nil, spaceUpload, w.pos.bucket, "")
	to := prefixEnd(from)
	if w.pos.key != "" {
		from = keyWithID(nil, spaceUpload, w.pos.bucket, w.pos.key, w.pos.id)
	}
	c := newCursor(w.r, from, to, 0)
	for !w.full() {
		k, _, err := c.next()
		if err != nil || k == nil {
			return err
		}
		key, id, ok := splitID(k)
		if !ok {
			return fmt.Errorf("key of an upload: %w", ErrCorrupt)
		}
		if string(key) != w.pos.key || id != w.pos.id {
			w.pos.key, w.pos.id, w.pos.number = string(key), id, 0
		}
		if err := w.parts(id); err != nil {
			return err
		}
	}
	return nil
}

// parts passes the parts under an upload id from pos.number on.
func (w *walker) parts(id UploadID) error {
	if w.pos.number == walkDone {
		return nil
	}
	err := scanParts(w.r, w.s, id, max(w.pos.number, 1), func(p *Part) bool {
		w.emit(PartRef{Upload: id, Number: p.Number}, p)
		return !w.full()
	})
	if !w.full() {
		w.pos.number = walkDone
	}
	return err
}

func (w *walker) emit(ref PartRef, p *Part) {
	ref.BucketID, ref.Key, ref.Set = w.pos.bucket, w.pos.key, p.Set
	w.out = append(w.out, walked{ref, *p})
	w.pos.number = ref.Number + 1
}

// versions passes the parts of versions in the bucket from pos on.
func (w *walker) versions() error {
	m := newVersionScan(w.r, w.pos.bucket, "", 0)
	if w.pos.key != "" {
		m.cur.seek(keyIn(nil, spaceObject, w.pos.bucket, w.pos.key))
		m.old.seek(keyWithID(nil, spaceVersion, w.pos.bucket, w.pos.key, w.pos.id))
	}
	for !w.full() {
		rec, err := m.peek()
		if err != nil || rec.key == nil {
			return err
		}
		v, err := decodeVersion(rec.kvKey, rec.value, string(rec.key))
		if err != nil {
			return fmt.Errorf("version record of %q: %w", rec.key, err)
		}
		if err := w.version(v, rec.current); err != nil {
			return err
		}
		m.skip(&rec)
	}
	return nil
}

func (w *walker) version(v *Version, current bool) error {
	switch {
	case v.Key != w.pos.key:
		w.pos = walkPos{space: spaceVersion, bucket: w.pos.bucket, key: v.Key}
		if current {
			w.pos.cur = v.ID
		} else {
			w.pos.id = v.ID
		}
	case !current && v.ID != w.pos.id:
		w.pos.id, w.pos.number = v.ID, 0
	case current && v.ID != w.pos.cur:
		// It came to be current since it was passed over: all of it at once, as pos
		// is among the older versions already.
		at := w.pos
		w.pos.cur, w.pos.number = v.ID, 0
		limit := w.limit
		w.limit = maxWalk + MaxParts + len(w.out)
		err := w.record(v)
		w.limit = limit
		if at.id != (VersionID{}) {
			w.pos.id, w.pos.number = at.id, at.number
		}
		return err
	case current && w.pos.id != (VersionID{}):
		return nil // done before the older ones
	}
	return w.record(v)
}

// record passes the parts of v from pos.number on.
func (w *walker) record(v *Version) error {
	if w.pos.number == 0 {
		if v.LockPart != nil {
			w.emit(PartRef{Version: v.ID, Number: LockPartNumber}, v.LockPart)
		}
		if v.Manifest != nil {
			w.emit(PartRef{Version: v.ID, Number: 0}, v.Manifest)
		}
		w.pos.number = 1
	}
	if v.Inline != nil && w.pos.number <= 1 && !w.full() {
		w.emit(PartRef{Version: v.ID, Number: 1}, v.Inline)
		w.pos.number = walkDone
	}
	if v.Upload != (UploadID{}) && !w.full() {
		return w.parts(v.Upload)
	}
	if !w.full() {
		w.pos.number = walkDone
	}
	return nil
}
