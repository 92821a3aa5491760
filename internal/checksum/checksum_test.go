package checksum

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// Check values: the RevEng catalogue for CRCs, FIPS/RFC test inputs for SHA and MD5, the xxHash specification's tools.
func TestKnownVectors(t *testing.T) {
	vectors := []struct {
		a    Algorithm
		in   string
		want string
	}{
		{CRC32, "123456789", "cbf43926"},
		{CRC32C, "123456789", "e3069283"},
		{CRC64NVME, "123456789", "ae8b14860a799888"},
		{SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{SHA512, "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
		{XXHash64, "", "ef46db3751d8e999"},
		{XXHash64, "abc", "44bc2cf5ad770999"},
		{XXHash3, "", "2d06800538d394c2"},
		{XXHash3, "abc", "78af5f94892f3950"},
		{XXHash128, "", "99aa06d3014798d86001c324468d497f"},
		{XXHash128, "abc", "06b05ab6733a618578af5f94892f3950"},
	}
	seen := map[Algorithm]bool{}
	for _, v := range vectors {
		h := v.a.New()
		h.Write([]byte(v.in))
		got := h.Sum([]byte("prefix"))
		if !bytes.HasPrefix(got, []byte("prefix")) || hex.EncodeToString(got[6:]) != v.want {
			t.Errorf("%s(%q) = %x, want %s", v.a, v.in, got[6:], v.want)
		}
		if len(got)-6 != v.a.Size() || h.Size() != v.a.Size() {
			t.Errorf("%s: sum of %d bytes, hash says %d, Size says %d", v.a, len(got)-6, h.Size(), v.a.Size())
		}
		h.Reset()
		if again := h.Sum(nil); bytes.Equal(again, got[6:]) && v.in != "" {
			t.Errorf("%s: Reset keeps state", v.a)
		}
		seen[v.a] = true
	}
	for _, a := range All() {
		if !seen[a] {
			t.Errorf("%s has no known vector", a)
		}
	}
}

func TestNames(t *testing.T) {
	for i, a := range All() {
		if int(a) != i+1 {
			t.Errorf("%s has number %d, stored on disk as %d", a, a, i+1)
		}
		for _, name := range []string{a.String(), strings.ToLower(a.String())} {
			if got, ok := Parse(name); !ok || got != a {
				t.Errorf("Parse(%q) = %v, %v", name, got, ok)
			}
		}
		if got := http.CanonicalHeaderKey(a.Header()); got != a.Header() {
			t.Errorf("%s: header %q, canonical form %q", a, a.Header(), got)
		}
		if got, ok := FromHeader(strings.ToLower(a.Header())); !ok || got != a {
			t.Errorf("FromHeader(%q) = %v, %v", a.Header(), got, ok)
		}
		if !a.Valid() || !a.Supports(a.DefaultType()) || a.Supports(Unspecified) {
			t.Errorf("%s: wrong validity or types", a)
		}
		if a.Supports(FullObject) != a.Linear() {
			t.Errorf("%s: FULL_OBJECT and linear must go together", a)
		}
	}
	for _, name := range []string{"", "CRC", "CRC64", "SHA-256", "XXHASH"} {
		if a, ok := Parse(name); ok {
			t.Errorf("Parse(%q) = %v", name, a)
		}
	}
	for _, h := range []string{"", "X-Amz-Checksum-", "X-Amz-Checksum-Type", "X-Amz-Checksum-Mode", "Crc32"} {
		if a, ok := FromHeader(h); ok {
			t.Errorf("FromHeader(%q) = %v", h, a)
		}
	}
	for _, a := range []Algorithm{None, 11, 255} {
		if a.Valid() || a.String() != "" || a.Header() != "" || a.Size() != 0 || a.New() != nil || a.Linear() ||
			a.Supports(FullObject) || a.CompositeOf([]byte("x")) != nil {
			t.Errorf("%d is taken for an algorithm", a)
		}
	}
	for _, ty := range []Type{FullObject, Composite} {
		if got, ok := ParseType(ty.String()); !ok || got != ty {
			t.Errorf("ParseType(%q) = %v, %v", ty, got, ok)
		}
	}
	if _, ok := ParseType(""); ok || Unspecified.String() != "" || CRC32.Supports(Type(9)) {
		t.Error("the empty type parses or has a name")
	}
	if CRC64NVME.Supports(Composite) || CRC64NVME.DefaultType() != FullObject || !CRC32.Supports(Composite) {
		t.Error("wrong multipart types")
	}
}

func digest(a Algorithm, p []byte) []byte {
	h := a.New()
	h.Write(p)
	return h.Sum(nil)
}

func TestCombineMatchesDirect(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1<<20+777)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for _, a := range All() {
		if !a.Linear() {
			if _, err := Combine(a, digest(a, nil), digest(a, nil), 0); err == nil {
				t.Errorf("%s combines", a)
			}
			continue
		}
		for i := range 200 {
			whole := data[:rng.IntN(1<<rng.IntN(21)+1)]
			cut := rng.IntN(len(whole) + 1)
			got, err := Combine(a, digest(a, whole[:cut]), digest(a, whole[cut:]), int64(len(whole)-cut))
			if err != nil || !bytes.Equal(got, digest(a, whole)) {
				t.Fatalf("%s round %d: %d+%d: %x, %v, want %x", a, i, cut, len(whole)-cut, got, err, digest(a, whole))
			}
		}
		if _, err := Combine(a, []byte{1}, digest(a, nil), 1); err == nil {
			t.Errorf("%s combines a digest of one byte", a)
		}
		if _, err := Combine(a, digest(a, nil), digest(a, nil), -1); err == nil {
			t.Errorf("%s combines a negative length", a)
		}
	}
}

// Lengths that no test could hash: combining is associative, so a huge length split in two must agree with itself.
func TestCombineHugeLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		x, y, z := rng.Uint64(), rng.Uint64(), rng.Uint64()
		ly, lz := rng.Int64N(1<<62), rng.Int64N(1<<62)
		left := CombineCRC64(CombineCRC64(x, y, ly), z, lz)
		right := CombineCRC64(x, CombineCRC64(y, z, lz), ly+lz)
		if left != right {
			t.Fatalf("(%x+%x/%d)+%x/%d: %x, %x", x, y, ly, z, lz, left, right)
		}
	}
	if got := UpdateCRC64(CRC64([]byte("12345")), []byte("6789")); got != 0xae8b14860a799888 {
		t.Errorf("UpdateCRC64 = %x", got)
	}
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("123456789"), 4)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, whole []byte, cut int) {
		if cut < 0 || cut > len(whole) {
			t.Skip()
		}
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			got, err := Combine(a, digest(a, whole[:cut]), digest(a, whole[cut:]), int64(len(whole)-cut))
			if err != nil || !bytes.Equal(got, digest(a, whole)) {
				t.Fatalf("%s %d+%d: %x, %v", a, cut, len(whole)-cut, got, err)
			}
		}
	})
}

func BenchmarkCombineCRC64(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int64
	}{{"32KiB", 32 << 10}, {"worst", 1<<56 - 1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			x := uint64(0xae8b14860a799888)
			for b.Loop() {
				x = CombineCRC64(x, 0x0123456789abcdef, c.n)
			}
		})
	}
}
