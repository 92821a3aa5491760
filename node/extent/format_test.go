package extent

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/internal/faultfs"
)

func hexBytes(t *testing.T, lines ...string) []byte {
	t.Helper()
	var b []byte
	for _, l := range lines {
		p, err := hex.DecodeString(l)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, p...)
	}
	return b
}

var (
	goldenIdentity = Identity{
		Deployment: [16]byte{0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf},
		Target:     [16]byte{0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef},
	}
	goldenHeader = extentHeader{
		identity: goldenIdentity, kind: kindOwn, number: 7, created: 0x1122334455667788, length: 9 << 20,
		salt: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	}
)

func TestSuperblockGolden(t *testing.T) {
	sb := Superblock{
		Identity: goldenIdentity, Version: 1, Owner: [16]byte{0xaa}, Epoch: 5, Created: time.Unix(0, 0x1122334455667788).UTC(),
	}
	got := sb.encode()
	want := hexBytes(t,
		"776566747375700a",     // magic
		"0100", "000000000000", // version, zero
		"d0d1d2d3d4d5d6d7d8d9dadbdcdddedf", // deployment
		"e0e1e2e3e4e5e6e7e8e9eaebecedeeef", // target
		"aa000000000000000000000000000000", // owner
		"0500000000000000",                 // epoch
		"8877665544332211",                 // created
	)
	if len(got) != 512 || !bytes.Equal(got[:80], want) || bytes.Count(got[80:504], []byte{0}) != 424 {
		t.Fatalf("superblock is\n%x", got)
	}
	goldenCRC(t, got[504:], "superblock")
	back, err := decodeSuperblock(got)
	if err != nil || back != sb {
		t.Fatal(back, err)
	}
}

func TestExtentHeaderGolden(t *testing.T) {
	got := goldenHeader.encode()
	want := hexBytes(t,
		"776566746578740a",         // magic
		"0100", "0200", "00000000", // version, kind, zero
		"d0d1d2d3d4d5d6d7d8d9dadbdcdddedf", // deployment
		"e0e1e2e3e4e5e6e7e8e9eaebecedeeef", // target
		"0700000000000000",                 // number
		"0102030405060708090a0b0c0d0e0f10", // salt
		"8877665544332211",                 // created
		"0000900000000000",                 // length
		"00000000000000000000000000000000", // zero
	)
	if len(got) != 4096 || !bytes.Equal(got[:104], want) || !bytes.Equal(got[:112], got[2048:2160]) {
		t.Fatalf("extent header is\n%x", got[:112])
	}
	goldenCRC(t, got[104:112], "extent")
	for _, at := range []int{3, 2050} { // either copy is enough
		b := bytes.Clone(got)
		b[at] ^= 1
		if back, err := decodeExtentHeader(b); err != nil || back != goldenHeader {
			t.Fatal(back, err)
		}
	}
}

func TestRecordGolden(t *testing.T) {
	r := recordHeader{
		kind: recChunk, id: ID{Set: SetID(goldenIdentity.Target), Index: 3}, size: 128, metaLen: 5, seq: 9,
		created: 0x1122334455667788, data: 4096 + 64 + 128, length: 100, durable: 4096, bodyCRC: 0x0807060504030201,
	}
	b := make([]byte, recordFixed)
	r.put(b, goldenHeader.seed(), 4096+64)
	want := hexBytes(t,
		"5746521a", "01", "01", "03", "00", // magic, version, type, index, zero
		"80000000", "05000000", // size, metadata bytes
		"e0e1e2e3e4e5e6e7e8e9eaebecedeeef", // set
		"0900000000000000",                 // seq
		"8877665544332211",                 // created
		"c010000000000000",                 // data
		"6400000000000000",                 // length
		"0010000000000000",                 // durable
		"0102030405060708",                 // body CRC
	)
	if !bytes.Equal(b[:80], want) {
		t.Fatalf("record is\n%x", b)
	}
	goldenCRC(t, b[80:], "record")
	if back, ok := decodeRecord(b, goldenHeader.seed(), 4096+64); !ok || back != r {
		t.Fatal(back, ok)
	}
	if _, ok := decodeRecord(b, goldenHeader.seed(), 4096+128); ok {
		t.Error("a record in another place was taken for one")
	}
	other := goldenHeader
	other.salt[0] ^= 1
	if _, ok := decodeRecord(b, other.seed(), 4096+64); ok {
		t.Error("a record of another extent was taken for one")
	}
}

// goldenCRC keeps seeds and masks as they were released.
func goldenCRC(t *testing.T, got []byte, name string) {
	t.Helper()
	path := filepath.Join("testdata", "crc."+name)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := hex.EncodeToString(got); s != string(bytes.TrimSpace(want)) {
		t.Errorf("%s checksum is %s, was released as %s", name, s, want)
	}
}

func TestMaskGolden(t *testing.T) {
	m := maskOf(ID{Set: SetID(goldenIdentity.Target), Index: 3})
	var b []byte
	for i := range 2 {
		v := m.unit(i)
		for j := range 8 {
			b = append(b, byte(v>>(8*j)))
		}
	}
	goldenCRC(t, b, "mask")
}

func FuzzSuperblock(f *testing.F) {
	f.Add((&Superblock{Identity: goldenIdentity, Version: 1, Created: time.Unix(0, 1)}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if sb, err := decodeSuperblock(b); err == nil {
			if back, err := decodeSuperblock(sb.encode()); err != nil || back != sb {
				t.Fatal(back, sb, err)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

func FuzzExtentHeader(f *testing.F) {
	f.Add(goldenHeader.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeExtentHeader(b); err == nil {
			if back, err := decodeExtentHeader(h.encode()); err != nil || back != h {
				t.Fatal(back, h, err)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// FuzzRecord makes the checksum right, so that the checks behind it are reached.
func FuzzRecord(f *testing.F) {
	b := make([]byte, recordFixed)
	r := recordHeader{kind: recChunk, size: 128, data: 4096 + 128, length: 10}
	r.put(b, 1, 4096)
	f.Add(b, int64(4096))
	f.Fuzz(func(t *testing.T, b []byte, off int64) {
		if off < 0 || off > 1<<40 || len(b) < recordFixed {
			return
		}
		if r, ok := decodeRecord(reseal(b, 1, off), 1, off); ok {
			if r.end(off) <= off || r.size > maxRecord || r.units() > maxUnits || r.kind != recTombstone && r.length > MaxChunk {
				t.Fatalf("%+v", r)
			}
			r.bodyOK(b)
		}
	})
}

// reseal puts a right checksum under the fixed part.
func reseal(b []byte, seed uint64, off int64) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint64(b[80:], checksum.UpdateCRC64(recordSeed(seed, off), b[:80]))
	return b
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("WFR\x1a"), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		fsys := faultfs.New(1 << 30)
		file, err := fsys.Create("x")
		if err != nil {
			t.Fatal(err)
		}
		// Every record-like stretch gets a right checksum.
		for off := 0; off+recordFixed <= len(b); off += recordAlign {
			if bytes.HasPrefix(b[off:], []byte("WFR\x1a")) {
				copy(b[off:], reseal(b[off:off+recordFixed], seed, int64(headerBlock+off)))
			}
		}
		if _, err := file.WriteAt(b, headerBlock); err != nil {
			t.Fatal(err)
		}
		size := int64(headerBlock + len(b))
		h := &handle{file: file}
		ts, err := scanTail(h, seed, headerBlock, size, func(*scanned, bool) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if ts.end > size+MaxChunk {
			t.Fatal(ts.end)
		}
	})
}

func FuzzIndexValues(f *testing.F) {
	f.Add([]byte("k"), encodeLoc([]byte("k"), loc{rec: 4096, data: 4096}))
	f.Add([]byte("k"), encodeExtent([]byte("k"), &extentState{covered: 4096, tombs: map[uint64]int64{1: 2}}))
	f.Add([]byte("k"), encodeHead(&indexHead{seq: 5}))
	f.Fuzz(func(t *testing.T, key, b []byte) {
		if l, err := decodeLoc(key, b); err == nil && !bytes.Equal(encodeLoc(key, l), b) {
			t.Error("loc", l)
		}
		if s, err := decodeExtent(key, b); err == nil && len(s.tombs) > len(b)/16 {
			t.Error("extent", s)
		}
		if h, err := decodeHead(b); err == nil && !bytes.Equal(encodeHead(&h), b) {
			t.Error("head", h)
		}
	})
}

func TestFormatRefuses(t *testing.T) {
	fsys := formatted(t, 1<<30)
	if err := Format(fsys, testIdentity); !errors.Is(err, fs.ErrExist) {
		t.Errorf("format of a target: %v", err)
	}
	fsys = faultfs.New(1 << 30)
	if _, err := ReadSuperblock(fsys); !errors.Is(err, ErrOffline) {
		t.Errorf("no superblock: %v", err)
	}
	if _, err := fsys.Create("precious"); err != nil {
		t.Fatal(err)
	}
	if err := Format(fsys, testIdentity); !errors.Is(err, fs.ErrExist) {
		t.Errorf("format of a directory in use: %v", err)
	}
}

func TestFencing(t *testing.T) {
	fsys := formatted(t, 1<<30)
	tg, err := Open(faultConfig(fsys, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SetOwner(fsys, [16]byte{9}, 1); err != nil {
		t.Fatal(err)
	}
	if err := tg.Check(t.Context()); !errors.Is(err, ErrFenced) {
		t.Fatalf("check: %v", err)
	}
	if err := tg.Append(t.Context(), testID(1), nil, nil, nil); !errors.Is(err, ErrFenced) {
		t.Fatalf("append: %v", err)
	}
	before := fsys.Ops()
	tg.Close()
	if fsys.Ops() != before {
		t.Error("a fenced target was written to by Close")
	}
	if _, err := SetOwner(fsys, [16]byte{8}, 1); !errors.Is(err, ErrFenced) {
		t.Errorf("same epoch again: %v", err)
	}
}

func TestCheckNoticesRemoval(t *testing.T) {
	for _, name := range []string{SuperblockName, extentName(1, false)} {
		fsys := formatted(t, 1<<30)
		tg, err := Open(faultConfig(fsys, ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.Append(t.Context(), testID(1), nil, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if err := tg.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := tg.Check(t.Context()); !errors.Is(err, ErrOffline) {
			t.Errorf("%s removed: %v", name, err)
		}
		if err := tg.Append(t.Context(), testID(2), nil, []byte("x"), nil); !errors.Is(err, ErrOffline) {
			t.Errorf("append after that: %v", err)
		}
		tg.Close()
	}
}

// Fault model: a byte of the index file is changed while it is closed. Every
// chunk then reads right, from an index that was made again.
func TestDamagedIndex(t *testing.T) {
	fsys, l := formatted(t, 1<<30), newLedger()
	index := filepath.Join(t.TempDir(), "index")
	tg, err := Open(faultConfig(fsys, index))
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(60) {
		if err := l.store(tg, n, int(n)*100); err != nil {
			t.Fatal(err)
		}
	}
	tg.Close()
	good, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	goodSum, err := os.ReadFile(index + sumSuffix)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(testSeed(t), 3))
	for n := range 100 {
		b, s := bytes.Clone(good), bytes.Clone(goodSum)
		if n%4 == 0 {
			s[rng.IntN(len(s))] ^= 1 << rng.IntN(8)
		} else {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		}
		if err := errors.Join(os.WriteFile(index, b, 0o600), os.WriteFile(index+sumSuffix, s, 0o600)); err != nil {
			t.Fatal(err)
		}
		cfg := faultConfig(fsys.Clone(), index)
		rebuilt := false
		cfg.Events.Rebuild = func(error) { rebuilt = true }
		tg, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !rebuilt {
			t.Fatal("the damage was not noticed")
		}
		if err := l.check(tg); err != nil {
			t.Fatal(err)
		}
		tg.Close()
	}
	// Undamaged it is used.
	cfg := faultConfig(fsys, index)
	if err := errors.Join(os.WriteFile(index, good, 0o600), os.WriteFile(index+sumSuffix, goodSum, 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg.Events.Rebuild = func(reason error) { t.Error(reason) }
	if tg, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	if err := l.check(tg); err != nil {
		t.Fatal(err)
	}
	tg.Close()
}
