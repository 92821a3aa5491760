package metadata

import (
	"fmt"

	"github.com/weftstore/weft/internal/checksum"
)

// Flags of a version record.
const (
	flagNull = 1 << iota
	flagMarker
	flagInline
	flagUpload
	flagManifest
)

// versionHead is the length of the fields that listings need, which come first.
const versionHead = 1 + 8 + 8 + 16 + 16 + 2 + 2

// EncodeVersion appends v to dst as a record that stands alone: with its key and
// a checksum.
func EncodeVersion(dst []byte, v *Version) []byte {
	start := len(dst)
	return seal(appendVersion(dst, v, v.Key), start, nil)
}

// DecodeVersion reads what EncodeVersion wrote, all of b; ErrCorrupt otherwise. The
// version keeps nothing of b.
func DecodeVersion(b []byte) (*Version, error) { return decodeVersion(nil, b, "") }

// EncodePart appends p to dst as a record that stands alone.
func EncodePart(dst []byte, p *Part) []byte {
	start := len(dst)
	return seal(appendPartRecord(dst, p), start, nil)
}

// DecodePart reads what EncodePart wrote, all of b; ErrCorrupt otherwise. The part
// keeps nothing of b.
func DecodePart(b []byte) (*Part, error) {
	p := new(Part)
	if err := decodePart(nil, b, p); err != nil {
		return nil, err
	}
	return p, nil
}

// EncodeManifest appends a multipart object's version and parts to dst: what a
// manifest on the targets holds.
func EncodeManifest(dst []byte, v *Version, parts []Part) []byte {
	start := len(dst)
	format := versionFormat(v)
	for i := range parts {
		format = max(format, partFormat(&parts[i]))
	}
	dst = appendVersionAs(dst, v, v.Key, format)
	dst = appendLen(dst, len(parts))
	for i := range parts {
		dst = appendPart(dst, &parts[i], format)
	}
	return seal(dst, start, nil)
}

// DecodeManifest reads what EncodeManifest wrote, all of b; ErrCorrupt otherwise.
func DecodeManifest(b []byte) (*Version, []Part, error) {
	d, _, err := unsealUpTo(lockFormat, nil, b)
	if err != nil {
		return nil, nil, err
	}
	v := new(Version)
	d.version(v, "")
	n := d.length(partMin)
	if n > MaxParts {
		return nil, nil, fmt.Errorf("manifest of %d parts: %w", n, ErrCorrupt)
	}
	parts := make([]Part, n)
	for i := range parts {
		d.part(&parts[i])
	}
	return v, parts, d.end()
}

// appendVersion writes the record without its checksum. key is "" where the
// engine's key tells it.
func appendVersion(dst []byte, v *Version, key string) []byte {
	return appendVersionAs(dst, v, key, versionFormat(v))
}

// versionFormat is the oldest format that can hold v, so that what reads only that one
// goes on reading what it can.
func versionFormat(v *Version) byte {
	format := byte(recordFormat)
	if len(v.Attrs) > 0 {
		format = attrsFormat
	}
	if !v.Lock.IsZero() || v.LockPart != nil {
		format = lockFormat
	}
	for _, p := range []*Part{v.Inline, v.Manifest} {
		if p != nil {
			format = max(format, partFormat(p))
		}
	}
	return format
}

func partFormat(p *Part) byte {
	if p.Sealed {
		return attrsFormat
	}
	return recordFormat
}

func appendVersionAs(dst []byte, v *Version, key string, format byte) []byte {
	var flags byte
	if v.Null {
		flags |= flagNull
	}
	if v.DeleteMarker {
		flags |= flagMarker
	}
	if v.Inline != nil {
		flags |= flagInline
	}
	if v.Upload != (UploadID{}) {
		flags |= flagUpload
	}
	if v.Manifest != nil {
		flags |= flagManifest
	}
	dst = append(dst, format, flags)
	dst = appendTime(dst, v.Modified)
	dst = appendU64(dst, uint64(v.Size))
	dst = append(dst, v.MD5[:]...)
	dst = append(dst, v.ID[:]...)
	dst = appendU16(dst, uint16(v.PartCount))
	dst = appendDigest(dst, v.Digest)
	dst = appendStr(dst, key)
	dst = appendPairs(dst, v.Headers)
	dst = appendPairs(dst, v.UserMeta)
	dst = appendPairs(dst, v.Tags)
	if v.Inline != nil {
		dst = appendPart(dst, v.Inline, format)
	}
	if flags&flagUpload != 0 {
		dst = append(dst, v.Upload[:]...)
	}
	if v.Manifest != nil {
		dst = appendPart(dst, v.Manifest, format)
	}
	if format >= attrsFormat {
		dst = appendPairs(dst, v.Attrs)
	}
	if format >= lockFormat {
		dst = appendLock(dst, &v.Lock, v.LockPart)
		if v.LockPart != nil {
			dst = appendPart(dst, v.LockPart, format)
		}
	}
	return dst
}

// decodeVersion reads the value of a KV key. objKey is the S3 key in it, or "" to
// take the one in the record.
func decodeVersion(kvKey, value []byte, objKey string) (*Version, error) {
	d, _, err := unsealUpTo(lockFormat, kvKey, value)
	if err != nil {
		return nil, err
	}
	// One allocation for a version and the part that most have.
	both := new(struct {
		v Version
		p Part
	})
	both.v.Inline = &both.p
	d.version(&both.v, objKey)
	if err := d.end(); err != nil {
		return nil, err
	}
	return &both.v, nil
}

// version reads into v. v.Inline, if set, is used for an inline part and made nil
// when there is none.
func (d *decoder) version(v *Version, objKey string) {
	inline := v.Inline
	v.Inline = nil
	flags := d.u8()
	v.Null = flags&flagNull != 0
	v.DeleteMarker = flags&flagMarker != 0
	v.Modified = d.time()
	v.Size = int64(d.u64())
	copy(v.MD5[:], d.take(16))
	copy(v.ID[:], d.take(16))
	v.PartCount = int(d.u16())
	d.digest(&v.Digest)
	if key := d.take(d.length(1)); objKey != "" {
		v.Key = objKey
	} else {
		v.Key = string(key)
	}
	v.Headers = d.pairs()
	v.UserMeta = d.pairs()
	v.Tags = d.pairs()
	if flags&flagInline != 0 {
		if inline == nil {
			inline = new(Part)
		}
		d.part(inline)
		v.Inline = inline
	}
	if flags&flagUpload != 0 {
		copy(v.Upload[:], d.take(16))
	}
	if flags&flagManifest != 0 {
		v.Manifest = new(Part)
		d.part(v.Manifest)
	}
	if d.format >= attrsFormat {
		v.Attrs = d.pairs()
	}
	if d.format >= lockFormat && d.lock(&v.Lock) {
		v.LockPart = new(Part)
		d.part(v.LockPart)
	}
}

// entry reads the head of a version record.
func (d *decoder) entry(e *ListEntry) error {
	b := d.take(versionHead)
	if b == nil {
		return fmt.Errorf("version record cut short: %w", ErrCorrupt)
	}
	h := decoder{b: b}
	flags := h.u8()
	e.Null = flags&flagNull != 0
	e.DeleteMarker = flags&flagMarker != 0
	e.Modified = h.time()
	e.Size = int64(h.u64())
	copy(e.MD5[:], h.take(16))
	copy(e.ID[:], h.take(16))
	e.PartCount = int(h.u16())
	e.Algorithm = checksum.Algorithm(h.u8())
	e.Type = checksum.Type(h.u8())
	return nil
}

// partMin is the length of the shortest encoded part.
const partMin = 2 + 16 + 2 + 4 + 8 + 16 + 8 + 3 + 1

// partSealed is a flag of a part in a record of attrsFormat.
const partSealed = 1

// appendPartRecord writes a part that is a record of its own, without the checksum.
func appendPartRecord(dst []byte, p *Part) []byte {
	format := partFormat(p)
	return appendPart(append(dst, format), p, format)
}

// appendPart writes a part as it is inside other records.
func appendPart(dst []byte, p *Part, format byte) []byte {
	dst = appendU16(dst, p.Number)
	dst = append(dst, p.Set[:]...)
	dst = append(dst, p.K, p.M)
	dst = appendU32(dst, p.Block)
	dst = appendU64(dst, uint64(p.Size))
	dst = append(dst, p.MD5[:]...)
	dst = appendTime(dst, p.Modified)
	dst = appendDigest(dst, p.Digest)
	dst = appendTargets(dst, p.Targets)
	if format >= attrsFormat {
		var flags byte
		if p.Sealed {
			flags |= partSealed
		}
		dst = append(dst, flags)
	}
	return dst
}

func decodePart(kvKey, value []byte, p *Part) error {
	d, _, err := unsealUpTo(attrsFormat, kvKey, value)
	if err != nil {
		return err
	}
	d.part(p)
	return d.end()
}

func (d *decoder) part(p *Part) {
	p.Number = d.u16()
	copy(p.Set[:], d.take(16))
	p.K, p.M = d.u8(), d.u8()
	p.Block = d.u32()
	p.Size = int64(d.u64())
	copy(p.MD5[:], d.take(16))
	p.Modified = d.time()
	d.digest(&p.Digest)
	p.Targets = d.targets()
	if d.format >= attrsFormat {
		flags := d.u8()
		p.Sealed = flags&partSealed != 0
		d.bad = d.bad || flags&^partSealed != 0
	}
}

func appendDigest(dst []byte, g Digest) []byte {
	dst = append(dst, byte(g.Algorithm), byte(g.Type), byte(len(g.Sum)))
	return append(dst, g.Sum...)
}

func (d *decoder) digest(g *Digest) {
	g.Algorithm = checksum.Algorithm(d.u8())
	g.Type = checksum.Type(d.u8())
	if n := int(d.u8()); n > 0 {
		g.Sum = append([]byte(nil), d.take(n)...)
	}
}

func appendTargets(dst []byte, ts []TargetID) []byte {
	dst = append(dst, byte(len(ts)))
	for _, t := range ts {
		dst = appendU16(dst, uint16(t))
	}
	return dst
}

func (d *decoder) targets() []TargetID {
	n := int(d.u8())
	b := d.take(2 * n)
	if len(b) == 0 {
		return nil
	}
	ts := make([]TargetID, n)
	for i := range ts {
		ts[i] = TargetID(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
	}
	return ts
}
