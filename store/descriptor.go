package store

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

// Constants of the descriptor's format; see doc.go.
const (
	descriptorMagic   = "WFTD"
	descriptorVersion = 1
	descriptorHead    = 8
)

// descriptorKind says what the chunk set that a descriptor is in belongs to. The
// numbers are on disk.
type descriptorKind uint8

const (
	kindObject   descriptorKind = 1 // an object put in one piece
	kindPart     descriptorKind = 2 // a part of a multipart upload
	kindManifest descriptorKind = 3 // the version and the parts of a multipart object
	kindSnapshot descriptorKind = 4 // a piece of a snapshot of the metadata
	kindLock     descriptorKind = 5 // the lock of a version, as it is since it was changed
)

// descriptor is what every chunk says of itself, so that the metadata can be
// rebuilt from the targets alone. It is the same on all shards of a set; the
// chunk's id tells the shard.
type descriptor struct {
	kind   descriptorKind
	bucket string
	// version is set for kindObject, with Inline, kindManifest, with Manifest, and
	// kindLock, with LockPart.
	version *metadata.Version
	// The rest is set for kindPart.
	upload metadata.UploadID
	key    string
	part   *metadata.Part
	// snapshot is set for kindSnapshot, beside part.
	snapshot snapshotPiece
}

// snapshotPiece says which piece of which snapshot a chunk set holds.
type snapshotPiece struct {
	seq   uint64 // Unix nanoseconds of the beginning
	piece uint32 // from 0
	last  bool
}

// MaxDescribed bounds Described of what is kept with an object: so much fits its descriptor.
const MaxDescribed = 10 << 10

// Described is about how much of a descriptor headers, user metadata and attributes take.
func Described(kept ...map[string]string) (n int) {
	for _, m := range kept {
		for name, value := range m {
			n += len(name) + len(value) + 4
		}
	}
	return n
}

// encode appends the descriptor to dst. It is at most extent.MaxMeta bytes: the
// tags of a version that would not fit otherwise are left out. ErrDescriptor
// when that is not enough.
func (d *descriptor) encode(dst []byte) ([]byte, error) {
	out := d.append(dst)
	if len(out)-len(dst) > extent.MaxMeta && d.version != nil && d.version.Tags != nil {
		short, v := *d, *d.version
		v.Tags, short.version = nil, &v
		out = short.append(dst)
	}
	if n := len(out) - len(dst); n > extent.MaxMeta {
		return nil, fmt.Errorf("encode %d bytes: %w", n, ErrDescriptor)
	}
	return out, nil
}

func (d *descriptor) append(dst []byte) []byte {
	dst = append(dst, descriptorMagic...)
	dst = append(dst, descriptorVersion, byte(d.kind))
	dst = appendString(dst, d.bucket)
	switch d.kind {
	case kindPart:
	case kindSnapshot:
		dst = binary.LittleEndian.AppendUint64(dst, d.snapshot.seq)
		dst = binary.LittleEndian.AppendUint32(dst, d.snapshot.piece)
		var last byte
		if d.snapshot.last {
			last = 1
		}
		return metadata.EncodePart(append(dst, last), d.part)
	default:
		return metadata.EncodeVersion(dst, d.version)
	}
	dst = append(dst, d.upload[:]...)
	dst = appendString(dst, d.key)
	return metadata.EncodePart(dst, d.part)
}

// decodeDescriptor reads what encode wrote, all of b; ErrDescriptor otherwise,
// wrapped. The descriptor keeps nothing of b.
func decodeDescriptor(b []byte) (*descriptor, error) {
	d, err := parseDescriptor(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	return d, nil
}

func parseDescriptor(b []byte) (*descriptor, error) {
	if len(b) < descriptorHead || len(b) > extent.MaxMeta {
		return nil, fmt.Errorf("length %d", len(b))
	}
	if string(b[:4]) != descriptorMagic || b[4] != descriptorVersion {
		return nil, fmt.Errorf("magic and version %x", b[:5])
	}
	d := &descriptor{kind: descriptorKind(b[5])}
	var err error
	if d.bucket, b, err = takeString(b[6:]); err != nil {
		return nil, err
	}
	switch d.kind {
	case kindObject, kindManifest, kindLock:
		if d.version, err = metadata.DecodeVersion(b); err != nil {
			return nil, err
		}
		d.part = d.version.Inline
		switch d.kind {
		case kindManifest:
			d.part = d.version.Manifest
		case kindLock:
			d.part = d.version.LockPart
		}
		d.key = d.version.Key
	case kindPart:
		if len(b) < len(d.upload) {
			return nil, fmt.Errorf("upload id cut short")
		}
		copy(d.upload[:], b)
		if d.key, b, err = takeString(b[len(d.upload):]); err != nil {
			return nil, err
		}
		if d.part, err = metadata.DecodePart(b); err != nil {
			return nil, err
		}
	case kindSnapshot:
		if len(b) < 13 || b[12] > 1 {
			return nil, fmt.Errorf("snapshot piece cut short")
		}
		d.snapshot = snapshotPiece{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), b[12] == 1}
		if d.part, err = metadata.DecodePart(b[13:]); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("kind %d", d.kind)
	}
	return d, d.check()
}

// check refuses what decodes but cannot be.
func (d *descriptor) check() error {
	switch {
	case d.part == nil:
		return fmt.Errorf("no part")
	case len(d.part.Targets) != int(d.part.K)+int(d.part.M):
		return fmt.Errorf("%d targets for %d+%d shards", len(d.part.Targets), d.part.K, d.part.M)
	case d.kind == kindSnapshot && (d.key != "" || d.bucket != ""):
		return fmt.Errorf("snapshot with a bucket")
	case d.kind != kindSnapshot && d.key == "" || len(d.key) > metadata.MaxKey:
		return fmt.Errorf("key of %d bytes", len(d.key))
	}
	return geometry(d.part).Validate()
}

func appendString(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func takeString(b []byte) (string, []byte, error) {
	if len(b) < 2 || len(b)-2 < int(binary.LittleEndian.Uint16(b)) {
		return "", nil, fmt.Errorf("string cut short")
	}
	n := int(binary.LittleEndian.Uint16(b))
	return string(b[2 : 2+n]), b[2+n:], nil
}
