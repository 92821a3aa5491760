package metadata

import (
	"bytes"
	"testing"
)

// TestPrefixEnd: bytes above 0x7f are bytes, not characters. Were they trimmed like
// 0xff, a scan of bucket 0xaf would run on into the buckets up to 0xff.
func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, end []byte }{
		{nil, nil},
		{[]byte{0xff, 0xff}, nil},
		{[]byte{1}, []byte{2}},
		{[]byte{1, 0x7f}, []byte{1, 0x80}},
		{[]byte{1, 0xaf}, []byte{1, 0xb0}},
		{[]byte{1, 0xfe, 0xff}, []byte{1, 0xff}},
		{[]byte("\xc3\xa4"), []byte("\xc3\xa5")},
	} {
		if got := prefixEnd(c.prefix); !bytes.Equal(got, c.end) || (got == nil) != (c.end == nil) {
			t.Errorf("prefixEnd(%x) = %x, want %x", c.prefix, got, c.end)
		}
	}
}
