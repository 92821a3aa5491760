package store

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node/extent"
)

func samplePart() *metadata.Part {
	return &metadata.Part{
		Number: 7, Set: metadata.SetID{1, 2, 3}, K: 2, M: 1, Block: 32 << 10, Size: 100_000,
		Targets: []metadata.TargetID{3, 1, 0}, MD5: [16]byte{9},
		Digest:   metadata.Digest{Algorithm: checksum.CRC64NVME, Type: checksum.FullObject, Sum: []byte("12345678")},
		Modified: time.UnixMilli(1_700_000_000_123).UTC(),
	}
}

func sampleDescriptors() []descriptor {
	p := samplePart()
	v := &metadata.Version{Key: "a/b", ID: metadata.VersionID{5}, Modified: p.Modified, Size: p.Size,
		MD5: p.MD5, Digest: p.Digest, UserMeta: map[string]string{"x": "y"}, Tags: map[string]string{"t": "u"}, Inline: p}
	m := &metadata.Version{Key: "m", Modified: p.Modified, Size: 1, PartCount: 1, Upload: metadata.UploadID{8}, Manifest: p}
	l := &metadata.Version{Key: "l", ID: metadata.VersionID{6}, Modified: p.Modified, LockPart: p,
		Lock: metadata.Lock{Mode: metadata.LockGovernance, Until: p.Modified, Hold: metadata.HoldOn}}
	return []descriptor{
		{kind: kindObject, bucket: "bucket", version: v, key: "a/b", part: p},
		{kind: kindPart, bucket: "bucket", upload: metadata.UploadID{4}, key: "k", part: p},
		{kind: kindManifest, bucket: "b", version: m, key: "m", part: p},
		{kind: kindLock, bucket: "b", version: l, key: "l", part: p},
	}
}

func TestDescriptorRoundTrip(t *testing.T) {
	for _, d := range sampleDescriptors() {
		b, err := d.encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeDescriptor(b)
		if err != nil {
			t.Fatal(err)
		}
		got.part.Modified = got.part.Modified.UTC()
		if got.kind != d.kind || got.bucket != d.bucket || got.key != d.key || got.upload != d.upload || !reflect.DeepEqual(got.part, d.part) {
			t.Fatalf("kind %d: %+v, want %+v", d.kind, got, d)
		}
		for i := range b {
			if _, err := decodeDescriptor(b[:i]); err == nil {
				t.Fatalf("kind %d: cut to %d bytes it still decodes", d.kind, i)
			}
		}
	}
}

// The head of a part's descriptor, byte by byte; the record behind it is metadata's.
func TestDescriptorGolden(t *testing.T) {
	d := sampleDescriptors()[1]
	b, err := d.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "57465444" + // magic "WFTD"
		"01" + // version
		"02" + // kind: part
		"0600" + "6275636b6574" + // "bucket"
		"04000000000000000000000000000000" + // upload id
		"0100" + "6b" // key "k"
	if got := hex.EncodeToString(b[:len(want)/2]); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// Tags give way when a descriptor gets too long, and nothing else does.
func TestDescriptorTooLong(t *testing.T) {
	d := sampleDescriptors()[0]
	d.version.Tags = map[string]string{"t": strings.Repeat("x", extent.MaxMeta)}
	b, err := d.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeDescriptor(b)
	if err != nil || got.version.Tags != nil || got.version.UserMeta["x"] != "y" {
		t.Fatalf("%+v, %v", got, err)
	}
	d.version.UserMeta = map[string]string{"t": strings.Repeat("x", extent.MaxMeta)}
	if _, err := d.encode(nil); err == nil {
		t.Fatal("a descriptor beyond the limit was encoded")
	}
}

func FuzzDescriptor(f *testing.F) {
	for _, d := range sampleDescriptors() {
		b, _ := d.encode(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDescriptor(b)
		if err != nil {
			return
		}
		again, err := d.encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeDescriptor(again); err != nil {
			t.Fatalf("encoded again it does not decode: %v (%x, %x)", err, b, again)
		}
		_ = bytes.Equal(b, again) // pairs of maps may come in another order
	})
}

// TestDescribed: what may be kept with an object fits its descriptor, whatever else there is.
func TestDescribed(t *testing.T) {
	p := samplePart()
	p.K, p.M, p.Targets = 60, 4, make([]metadata.TargetID, 64)
	for i := range p.Targets {
		p.Targets[i] = ^metadata.TargetID(0)
	}
	v := &metadata.Version{Key: strings.Repeat("k", metadata.MaxKey), Size: 1 << 40, PartCount: metadata.MaxParts, Digest: p.Digest, Manifest: p,
		Lock: metadata.Lock{Mode: metadata.LockCompliance, Until: p.Modified}, Headers: map[string]string{}, UserMeta: map[string]string{}, Attrs: map[string]string{}}
	for i := 0; Described(v.Headers, v.UserMeta, v.Attrs) <= MaxDescribed-100; i++ {
		v.UserMeta[strings.Repeat("x", i)] = ""
	}
	v.Attrs["a"] = strings.Repeat("x", MaxDescribed-Described(v.Headers, v.UserMeta, v.Attrs)-5)
	if n := Described(v.Headers, v.UserMeta, v.Attrs); n != MaxDescribed {
		t.Fatal(n)
	}
	d := descriptor{kind: kindManifest, bucket: strings.Repeat("b", 63), version: v}
	if _, err := d.encode(nil); err != nil {
		t.Fatal(err)
	}
}
