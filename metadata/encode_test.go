package metadata

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// sample is one record of each kind: the KV key, the value, and a decoder.
type sample struct {
	name   string
	key    []byte
	value  []byte
	decode func(key, value []byte) (any, error)
	golden string // hexadecimal, blanks between the fields
}

func samplePart() *Part {
	return &Part{
		Number: 2, Set: SetID{0xa1, 15: 0xa2}, K: 4, M: 2, Block: 1 << 19, Size: 5 << 20,
		Targets: []TargetID{1, 0x0203}, MD5: [16]byte{0xb1, 15: 0xb2},
		Digest:   Digest{Algorithm: checksum.CRC32, Type: checksum.FullObject, Sum: []byte{1, 2, 3, 4}},
		Modified: time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

func sampleVersion() *Version {
	return &Version{
		Key: "k", ID: VersionID{0xc1, 15: 0xc2}, Null: true, Modified: time.UnixMilli(1_700_000_000_000).UTC(), Size: 0x0102,
		MD5: [16]byte{0xd1, 15: 0xd2}, PartCount: 3, Digest: Digest{Algorithm: checksum.CRC64NVME, Type: checksum.FullObject},
		Headers: map[string]string{"Content-Type": "text/plain"}, UserMeta: map[string]string{"b": "2", "a": "1"}, Tags: map[string]string{"t": ""},
		Upload: UploadID{0xe1, 15: 0xe2}, Inline: samplePart(), Manifest: &Part{K: 1},
	}
}

const goldenPart = "0200 a10000000000000000000000000000a2 04 02 00000800 0000500000000000 b10000000000000000000000000000b2 7b68e5cf8b010000 " +
	"01 01 04 01020304 02 0100 0302"

func samples() []sample {
	set := SetID{0xa1, 15: 0xa2}
	since := time.UnixMilli(1_700_000_000_000).UTC()
	ref := PartRef{BucketID: 7, Key: "k", Version: VersionID{1}, Upload: UploadID{2}, Number: 3, Set: set}
	list := []sample{
		{name: "version", decode: func(k, v []byte) (any, error) { return decodeVersion(k, v, "") },
			golden: "01 1d 0068e5cf8b010000 0201000000000000 d10000000000000000000000000000d2 c10000000000000000000000000000c2 0300 " +
				"03 01 00 01 6b 01 0c 436f6e74656e742d54797065 0a 746578742f706c61696e 02 01 61 01 31 01 62 01 32 01 01 74 00 " +
				goldenPart + " e10000000000000000000000000000e2 " +
				"0000 00000000000000000000000000000000 01 00 00000000 0000000000000000 00000000000000000000000000000000 0028d3ed7cc7ffff 00 00 00 00"},
		{name: "part", key: keyPart(nil, UploadID{5}, 2), golden: "01 " + goldenPart,
			decode: func(k, v []byte) (any, error) { var p Part; return p, decodePart(k, v, &p) }},
		{name: "bucket", key: keyBucket(nil, "b"), decode: func(k, v []byte) (any, error) { return decodeBucket(k, v) },
			golden: "01 01 0700000000000000 0068e5cf8b010000 01 72 01 01 74 01 76"},
		{name: "bucket with configurations", key: keyBucket(nil, "b"), decode: func(k, v []byte) (any, error) { return decodeBucket(k, v) },
			golden: "02 00 0700000000000000 0068e5cf8b010000 00 00 02 3432 01 06 706f6c696379 02 7b7d"},
		{name: "entity", key: keyEntity(nil, 'u', "42", "name"), decode: func(k, v []byte) (any, error) { return decodeEntity(k, v) }, golden: "01 02 7b7d"},
		{name: "upload", key: keyWithID(nil, spaceUpload, 7, "k", UploadID{9}), decode: func(k, v []byte) (any, error) { return decodeUpload(k, v) },
			golden: "01 0068e5cf8b010000 02 02 01 01 68 01 31 01 01 75 01 32 00"},
		{name: "contents", key: keyPart(nil, UploadID{5}, 0), decode: func(k, v []byte) (any, error) { return viewContents(k, v) },
			golden: "01 0100 0500000000000000 0300 0900000000000000"},
		{name: "garbage set", key: keyGarbage(nil, 1<<14), decode: func(k, v []byte) (any, error) { return decodeGarbage(k, v) },
			golden: "01 01 0068e5cf8b010000 a10000000000000000000000000000a2 01 0900"},
		{name: "garbage upload", key: keyGarbage(nil, 2<<14), decode: func(k, v []byte) (any, error) { return decodeGarbage(k, v) },
			golden: "01 02 0068e5cf8b010000 05000000000000000000000000000000"},
		{name: "damage", key: keyDamage(nil, set), decode: func(k, v []byte) (any, error) { return decodeDamage(k, v) },
			golden: "01 0500000000000000 0068e5cf8b010000 0700000000000000 01 6b 01000000000000000000000000000000 02000000000000000000000000000000 0300"},
		{name: "target", key: keyTarget(nil, 3), decode: func(k, v []byte) (any, error) { return decodeTarget(k, v) },
			golden: "01 01 08000000000000000000000000000000 0068e5cf8b010000 02 2f78"},
		{name: "counter", key: keyCounter("bucket"), decode: func(k, v []byte) (any, error) { return decodeNumber(k, v) },
			golden: "01 0300000000000000"},
		{name: "version with attributes", decode: func(k, v []byte) (any, error) { return decodeVersion(k, v, "") },
			golden: "02 04 0068e5cf8b010000 0201000000000000 d10000000000000000000000000000d2 c10000000000000000000000000000c2 0000 " +
				"00 00 00 01 6b 00 00 00 " + goldenPart + " 01 01 01 61 03 007aff"},
		{name: "sealed part", key: keyPart(nil, UploadID{5}, 2), golden: "02 " + goldenPart + " 01",
			decode: func(k, v []byte) (any, error) { var p Part; return p, decodePart(k, v, &p) }},
		{name: "upload with attributes", key: keyWithID(nil, spaceUpload, 7, "k", UploadID{9}), decode: func(k, v []byte) (any, error) { return decodeUpload(k, v) },
			golden: "02 0068e5cf8b010000 00 00 00 00 00 01 01 61 01 62"},
		{name: "null pointer", key: keyIn(nil, spaceNull, 7, "k"), decode: func(k, v []byte) (any, error) { return decodeID(k, v) },
			golden: "01 c1000000000000000000000000000000"},
		{name: "locked version", decode: func(k, v []byte) (any, error) { return decodeVersion(k, v, "") },
			golden: "03 00 0068e5cf8b010000 0000000000000000 00000000000000000000000000000000 c1000000000000000000000000000000 0000 " +
				"00 00 00 01 6b 00 00 00 00 1a 0068e5cf8b010000 " + goldenPart + " 00"},
		{name: "locked upload", key: keyWithID(nil, spaceUpload, 7, "k", UploadID{9}), decode: func(k, v []byte) (any, error) { return decodeUpload(k, v) },
			golden: "03 0068e5cf8b010000 00 00 00 00 00 00 05 0068e5cf8b010000"},
		{name: "quota", key: keyAccountQuota("42"), decode: func(k, v []byte) (any, error) { return decodeQuota(k, v) },
			golden: "01 01 0a00000000000000 0b00000000000000 ffffffffffffffff 0200000000000000"},
	}
	list[0].value = EncodeVersion(nil, sampleVersion())
	list[1].value = seal(appendPartRecord(nil, samplePart()), 0, list[1].key)
	list[2].value = encodeBucket(nil, list[2].key, &Bucket{ID: 7, Created: since, Region: "r", Versioning: VersioningEnabled, Tags: map[string]string{"t": "v"}})
	list[3].value = encodeBucket(nil, list[3].key, &Bucket{ID: 7, Created: since, Owner: "42", Configs: map[string]string{"policy": "{}"}})
	list[4].value = encodeEntity(nil, list[4].key, []byte("{}"))
	list[5].value = encodeUpload(nil, list[5].key, &Upload{Initiated: since, Algorithm: checksum.CRC32C, Type: checksum.Composite,
		Template: Version{Headers: map[string]string{"h": "1"}, UserMeta: map[string]string{"u": "2"}}})
	list[6].value = encodeContents(nil, list[6].key, contents{{1, 5}, {3, 9}})
	list[7].value = encodeGarbage(nil, list[7].key, &garbageRecord{kind: garbageSet, garbage: Garbage{Set: set, Targets: []TargetID{9}, Since: since}})
	list[8].value = encodeGarbage(nil, list[8].key, &garbageRecord{kind: garbageUpload, upload: UploadID{5}, garbage: Garbage{Since: since}})
	list[9].value = encodeDamage(nil, list[9].key, &Damage{Ref: ref, Set: set, Shards: 5, Since: since})
	list[10].value = encodeTarget(nil, list[10].key, &Target{ID: 3, UUID: [16]byte{8}, Path: "/x", Added: since, Retired: true})
	list[11].value = encodeNumber(nil, list[11].key, 3)
	sealed := samplePart()
	sealed.Sealed = true
	list[12].value = EncodeVersion(nil, &Version{Key: "k", ID: VersionID{0xc1, 15: 0xc2}, Modified: since, Size: 0x0102,
		MD5: [16]byte{0xd1, 15: 0xd2}, Inline: sealed, Attrs: map[string]string{"a": "\x00z\xff"}})
	list[13].value = seal(appendPartRecord(nil, sealed), 0, list[13].key)
	list[14].value = encodeUpload(nil, list[14].key, &Upload{Initiated: since, Template: Version{Attrs: map[string]string{"a": "b"}}})
	list[15].value = encodeID(nil, list[15].key, VersionID{0xc1})
	list[16].value = EncodeVersion(nil, &Version{Key: "k", ID: VersionID{0xc1}, Modified: since, LockPart: samplePart(),
		Lock: Lock{Mode: LockCompliance, Until: since, Hold: HoldOn}})
	list[17].value = encodeUpload(nil, list[17].key, &Upload{Initiated: since,
		Template: Version{Lock: Lock{Mode: LockGovernance, Until: since, Hold: HoldOff}}})
	list[18].value = encodeQuota(list[18].key, &QuotaState{Limit: Quota{10, 11}, Used: Quota{-1, 2}, Counting: true})
	return list
}

// TestGolden: records of this format keep their bytes. doc.go names the fields.
func TestGolden(t *testing.T) {
	for _, s := range samples() {
		want := strings.ReplaceAll(s.golden, " ", "")
		if got := hex.EncodeToString(s.value[:len(s.value)-crcLen]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", s.name, got, want)
		}
		if sealed := seal(bytes.Clone(s.value[:len(s.value)-crcLen]), 0, s.key); !bytes.Equal(sealed, s.value) {
			t.Errorf("%s: checksum is not over the key and the record", s.name)
		}
	}
	// The checksum itself, once: CRC32C of "123456789" (RFC 3720, B.4 has its like).
	if got := seal([]byte("6789"), 0, []byte("12345")); !bytes.Equal(got[4:], []byte{0x83, 0x92, 0x06, 0xe3}) {
		t.Errorf("checksum %x", got[4:])
	}
}

// TestEveryBit: any flipped bit of any record, of its key, and any other length is
// ErrCorrupt.
func TestEveryBit(t *testing.T) {
	for _, s := range samples() {
		if _, err := s.decode(s.key, s.value); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		for i := range 8 * len(s.value) {
			bad := bytes.Clone(s.value)
			bad[i/8] ^= 1 << (i % 8)
			if _, err := s.decode(s.key, bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: bit %d flipped: %v", s.name, i, err)
			}
		}
		for i := range 8 * len(s.key) {
			bad := bytes.Clone(s.key)
			bad[i/8] ^= 1 << (i % 8)
			if _, err := s.decode(bad, s.value); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: bit %d of the key flipped: %v", s.name, i, err)
			}
		}
		for i := range s.value {
			if _, err := s.decode(s.key, s.value[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: cut at %d: %v", s.name, i, err)
			}
			// Cut, and the checksum made right again.
			if i < len(s.value)-crcLen && s.name != "contents" {
				if _, err := s.decode(s.key, seal(bytes.Clone(s.value[:i]), 0, s.key)); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s: sealed at %d: %v", s.name, i, err)
				}
			}
		}
		if _, err := s.decode(s.key, seal(append(bytes.Clone(s.value[:len(s.value)-crcLen]), 0), 0, s.key)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: a byte more: %v", s.name, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	v := sampleVersion()
	got, err := DecodeVersion(EncodeVersion(nil, v))
	if err != nil {
		t.Fatal(err)
	}
	// A zero time comes back as one, though spelled differently.
	got.Manifest.Modified = time.Time{}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("version\n got %+v\nwant %+v", got, v)
	}
	if p, err := DecodePart(EncodePart([]byte{}, samplePart())); err != nil || !reflect.DeepEqual(p, samplePart()) {
		t.Errorf("part %+v, %v", p, err)
	}
	b := EncodeManifest([]byte("before"), v, []Part{*samplePart(), *samplePart()})[len("before"):]
	_, parts, err := DecodeManifest(b)
	if err != nil || len(parts) != 2 || !reflect.DeepEqual(&parts[1], samplePart()) {
		t.Errorf("manifest %+v, %v", parts, err)
	}
	for i := range 8 * len(b) {
		bad := bytes.Clone(b)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := DecodeManifest(bad); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("manifest with bit %d flipped: %v", i, err)
		}
	}
}

// FuzzRecords gives any bytes, sealed so that they get past the checksum, to each
// decoder. What decodes must encode to something that decodes alike.
func FuzzRecords(f *testing.F) {
	for i, s := range samples() {
		f.Add(uint8(i), s.value[1:len(s.value)-crcLen])
	}
	all := samples()
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		s := all[int(kind)%len(all)]
		value := seal(append([]byte{s.value[0]}, body...), 0, s.key)
		got, err := s.decode(s.key, value)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if v, ok := got.(*Version); ok {
			again, err := DecodeVersion(EncodeVersion(nil, v))
			if err != nil || !reflect.DeepEqual(v, again) {
				t.Fatalf("%+v became %+v, %v", v, again, err)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	b := EncodeManifest(nil, sampleVersion(), []Part{*samplePart()})
	f.Add(b[:len(b)-crcLen])
	sealed := *samplePart()
	sealed.Sealed = true
	b = EncodeManifest(nil, sampleVersion(), []Part{*samplePart(), sealed})
	f.Add(b[:len(b)-crcLen])
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		v, parts, err := DecodeManifest(seal(body, 0, nil))
		if err != nil {
			return
		}
		again, parts2, err := DecodeManifest(EncodeManifest(nil, v, parts))
		if err != nil || !reflect.DeepEqual(v, again) || !reflect.DeepEqual(parts, parts2) {
			t.Fatalf("%+v became %+v, %v", v, again, err)
		}
	})
}

// FuzzSnapshot: any bytes, as they are and behind a right header.
func FuzzSnapshot(f *testing.F) {
	head := append([]byte(snapshotMagic), snapshotFormat, 0, 0, 0, 0, 0, 0, 0)
	f.Add(head)
	f.Add([]byte{3, 0, 2, 0, 0, 0, 'a', 'b', 'c', 'd', 'e'})
	f.Add([]byte{0xff, 0x0f, 0xff, 0xff, 0x0f, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, append(bytes.Clone(head), b...)} {
			n := 0
			if err := readSnapshot(bytes.NewReader(in), func(k, v []byte) error { n += len(k) + len(v); return nil }); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			if n > len(in) {
				t.Fatalf("%d bytes of pairs from %d", n, len(in))
			}
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff", []byte{spaceUpload})
	f.Add("null", (&walkPos{space: spaceVersion, bucket: 1, number: 3, key: "k"}).encode())
	f.Fuzz(func(t *testing.T, s string, pos []byte) {
		if id, err := ParseVersionID(s); err == nil && id.String() != s {
			t.Errorf("%q reads as %s", s, id)
		} else if err != nil && !errors.Is(err, ErrNoSuchVersion) {
			t.Error(err)
		}
		if id, err := ParseUploadID(s); err == nil && id.String() != s {
			t.Errorf("%q reads as %s", s, id)
		}
		if p, err := parseWalkPos(pos); err == nil && len(pos) > 0 && !bytes.Equal(p.encode(), pos) {
			t.Errorf("%x became %x", pos, p.encode())
		}
	})
}
