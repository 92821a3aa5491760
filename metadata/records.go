package metadata

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/internal/checksum"
)

func encodeBucket(dst, key []byte, b *Bucket) []byte {
	start := len(dst)
	format := byte(recordFormat)
	if b.Owner != "" || len(b.Configs) > 0 {
		format = bucketFormat
	}
	dst = append(dst, format, byte(b.Versioning))
	dst = appendU64(dst, b.ID)
	dst = appendTime(dst, b.Created)
	dst = appendStr(dst, b.Region)
	dst = appendPairs(dst, b.Tags)
	if format == bucketFormat {
		dst = appendStr(dst, b.Owner)
		dst = appendPairs(dst, b.Configs)
	}
	return seal(dst, start, key)
}

func decodeBucket(key, value []byte) (*Bucket, error) {
	d, format, err := unsealUpTo(bucketFormat, key, value)
	if err != nil {
		return nil, err
	}
	b := &Bucket{Name: string(key[1:])}
	b.Versioning = VersioningState(d.u8())
	b.ID = d.u64()
	b.Created = d.time()
	b.Region = d.str()
	b.Tags = d.pairs()
	if format == bucketFormat {
		b.Owner = d.str()
		b.Configs = d.pairs()
	}
	return b, d.end()
}

func encodeUpload(dst, key []byte, u *Upload) []byte {
	start := len(dst)
	format := versionFormat(&u.Template)
	dst = append(dst, format)
	dst = appendTime(dst, u.Initiated)
	dst = append(dst, byte(u.Algorithm), byte(u.Type))
	dst = appendPairs(dst, u.Template.Headers)
	dst = appendPairs(dst, u.Template.UserMeta)
	dst = appendPairs(dst, u.Template.Tags)
	if format >= attrsFormat {
		dst = appendPairs(dst, u.Template.Attrs)
	}
	if format >= lockFormat {
		dst = appendLock(dst, &u.Template.Lock, nil)
	}
	return seal(dst, start, key)
}

func decodeUpload(key, value []byte) (*Upload, error) {
	d, format, err := unsealUpTo(lockFormat, key, value)
	if err != nil {
		return nil, err
	}
	objKey, id, ok := splitID(key)
	if !ok {
		return nil, fmt.Errorf("key of an upload: %w", ErrCorrupt)
	}
	u := &Upload{ID: id, Key: string(objKey)}
	u.Initiated = d.time()
	u.Algorithm = checksum.Algorithm(d.u8())
	u.Type = checksum.Type(d.u8())
	u.Template.Headers = d.pairs()
	u.Template.UserMeta = d.pairs()
	u.Template.Tags = d.pairs()
	if format >= attrsFormat {
		u.Template.Attrs = d.pairs()
	}
	if format >= lockFormat && d.lock(&u.Template.Lock) {
		d.bad = true
	}
	return u, d.end()
}

// contents is the table of contents of a completed upload: its parts in order.
type contents []contentsRow

type contentsRow struct {
	Number uint16
	End    int64 // of the part in the object
}

const contentsRowLen = 2 + 8

func encodeContents(dst, key []byte, c contents) []byte {
	start := len(dst)
	dst = append(dst, recordFormat)
	for _, row := range c {
		dst = appendU64(appendU16(dst, row.Number), uint64(row.End))
	}
	return seal(dst, start, key)
}

// contentsView reads rows where they are, as only a few of up to MaxParts are wanted.
type contentsView []byte

func viewContents(key, value []byte) (contentsView, error) {
	d, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	if len(d.b)%contentsRowLen != 0 || len(d.b) > MaxParts*contentsRowLen {
		return nil, fmt.Errorf("table of contents of %d bytes: %w", len(d.b), ErrCorrupt)
	}
	return contentsView(d.b), nil
}

func (c contentsView) len() int { return len(c) / contentsRowLen }

func (c contentsView) row(i int) contentsRow {
	b := c[i*contentsRowLen:]
	return contentsRow{binary.LittleEndian.Uint16(b), int64(binary.LittleEndian.Uint64(b[2:]))}
}

// start is where the part of row i begins in the object.
func (c contentsView) start(i int) int64 {
	if i == 0 {
		return 0
	}
	return c.row(i - 1).End
}

// Kinds of garbage: one chunk set, or all parts under an upload id.
const (
	garbageSet    = 1
	garbageUpload = 2
)

// garbageRecord is what the queue holds.
type garbageRecord struct {
	kind    uint8
	upload  UploadID
	garbage Garbage
}

func encodeGarbage(dst, key []byte, g *garbageRecord) []byte {
	start := len(dst)
	dst = append(dst, recordFormat, g.kind)
	dst = appendTime(dst, g.garbage.Since)
	if g.kind == garbageUpload {
		return seal(append(dst, g.upload[:]...), start, key)
	}
	dst = append(dst, g.garbage.Set[:]...)
	return seal(appendTargets(dst, g.garbage.Targets), start, key)
}

func decodeGarbage(key, value []byte) (g garbageRecord, err error) {
	d, err := unseal(key, value)
	if err != nil {
		return g, err
	}
	g.kind = d.u8()
	g.garbage.Since = d.time()
	switch g.kind {
	case garbageUpload:
		copy(g.upload[:], d.take(16))
	case garbageSet:
		copy(g.garbage.Set[:], d.take(16))
		g.garbage.Targets = d.targets()
	default:
		return g, fmt.Errorf("garbage of kind %d: %w", g.kind, ErrCorrupt)
	}
	return g, d.end()
}

func encodeDamage(dst, key []byte, g *Damage) []byte {
	start := len(dst)
	dst = append(dst, recordFormat)
	dst = appendU64(dst, g.Shards)
	dst = appendTime(dst, g.Since)
	dst = appendU64(dst, g.Ref.BucketID)
	dst = appendStr(dst, g.Ref.Key)
	dst = append(dst, g.Ref.Version[:]...)
	dst = append(dst, g.Ref.Upload[:]...)
	dst = appendU16(dst, g.Ref.Number)
	return seal(dst, start, key)
}

func decodeDamage(key, value []byte) (g Damage, err error) {
	d, err := unseal(key, value)
	if err != nil {
		return g, err
	}
	if len(key) != 1+len(g.Set) {
		return g, fmt.Errorf("key of damage: %w", ErrCorrupt)
	}
	copy(g.Set[:], key[1:])
	g.Shards = d.u64()
	g.Since = d.time()
	g.Ref.BucketID = d.u64()
	g.Ref.Key = d.str()
	copy(g.Ref.Version[:], d.take(16))
	copy(g.Ref.Upload[:], d.take(16))
	g.Ref.Number = d.u16()
	g.Ref.Set = g.Set
	return g, d.end()
}

// Flags of a target.
const (
	targetRetired = 1 << iota
	targetMount
	targetDraining
)

func encodeTarget(dst, key []byte, t *Target) []byte {
	start := len(dst)
	var flags byte
	if t.Retired {
		flags |= targetRetired
	}
	if t.Mount {
		flags |= targetMount
	}
	if t.Draining {
		flags |= targetDraining
	}
	dst = append(dst, recordFormat, flags)
	dst = append(dst, t.UUID[:]...)
	dst = appendTime(dst, t.Added)
	return seal(appendStr(dst, t.Path), start, key)
}

func decodeTarget(key, value []byte) (t Target, err error) {
	d, err := unseal(key, value)
	if err != nil {
		return t, err
	}
	if len(key) != 3 {
		return t, fmt.Errorf("key of a target: %w", ErrCorrupt)
	}
	t.ID = TargetID(binary.BigEndian.Uint16(key[1:]))
	flags := d.u8()
	t.Retired, t.Mount, t.Draining = flags&targetRetired != 0, flags&targetMount != 0, flags&targetDraining != 0
	copy(t.UUID[:], d.take(16))
	t.Added = d.time()
	t.Path = d.str()
	return t, d.end()
}

// encodeNumber is for counters, encodeID for the pointer to a null version.
func encodeNumber(dst, key []byte, n uint64) []byte {
	start := len(dst)
	return seal(appendU64(append(dst, recordFormat), n), start, key)
}

func decodeNumber(key, value []byte) (uint64, error) {
	d, err := unseal(key, value)
	if err != nil {
		return 0, err
	}
	n := d.u64()
	return n, d.end()
}

func encodeID(dst, key []byte, id VersionID) []byte {
	start := len(dst)
	return seal(append(append(dst, recordFormat), id[:]...), start, key)
}

func decodeID(key, value []byte) (id VersionID, err error) {
	d, err := unseal(key, value)
	if err != nil {
		return id, err
	}
	copy(id[:], d.take(len(id)))
	return id, d.end()
}
