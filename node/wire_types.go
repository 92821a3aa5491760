package node

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"github.com/weftstore/weft/node/extent"
)

// TargetUUID names a target for good. The zero value names none.
type TargetUUID [16]byte

// String is lower-case hexadecimal.
func (u TargetUUID) String() string { return hex.EncodeToString(u[:]) }

// IsZero says whether u names no target.
func (u TargetUUID) IsZero() bool { return u == TargetUUID{} }

// State is a target's health.
type State uint8

// States of a target. Requests are served in Online, Full and Failing, the
// last at a low rate.
const (
	// Offline: the directory is missing, unmounted, unreadable or hangs.
	Offline State = iota + 1
	// Online: all is well.
	Online
	// Full: the last write found no room. Reads and deletes work.
	Full
	// Failing: I/O errors in a row.
	Failing
	// Corrupt: the target's own structures do not check out. It is not served.
	Corrupt
	// Fenced: another owner or epoch has the target.
	Fenced
	// Empty: an empty directory in place of the target. It is never formatted
	// without a call of Format.
	Empty
	// Foreign: another target is in the directory.
	Foreign
	stateEnd
)

// String is the state in lower case.
func (s State) String() string {
	names := [stateEnd]string{"unknown", "offline", "online", "full", "failing", "corrupt", "fenced", "empty", "foreign"}
	if s >= stateEnd {
		s = 0
	}
	return names[s]
}

// TargetStatus is what a node tells of a target.
type TargetStatus struct {
	ID       TargetUUID
	Dir      string
	State    State
	WasMount bool      // the directory was a mount point when the target was added
	Error    string    // what is wrong and what to do; empty when Online
	Since    time.Time // when State was entered
	Checked  time.Time // end of the last check; zero when there was none

	IOErrors, ConsecutiveIOErrors uint64
	CorruptFound                  uint64 // reads and verifications that found corruption
	Writers                       uint64 // handles open
	Reads, ReadBytes              uint64
	Writes, WrittenBytes          uint64
	Usage                         extent.Usage // the last known
}

func putID(p []byte, id extent.ID) {
	copy(p, id.Set[:])
	p[16] = id.Index
}

func getID(p []byte) extent.ID {
	return extent.ID{Set: extent.SetID(p[:16]), Index: p[16]}
}

func putInfo(p []byte, i *extent.Info) {
	clear(p[:infoSize])
	putID(p, i.ID)
	binary.LittleEndian.PutUint64(p[24:], uint64(i.Length))
	putTime(p[32:], i.Created)
}

// getInfo needs infoSize bytes.
func getInfo(p []byte) (extent.Info, error) {
	length := binary.LittleEndian.Uint64(p[24:])
	if !zero(p[17:24]) || length > math.MaxInt64 {
		return extent.Info{}, protocolError("bad chunk info")
	}
	return extent.Info{ID: getID(p), Length: int64(length), Created: getTime(p[32:])}, nil
}

// putTime writes ns since 1970, 0 for the zero time.
func putTime(p []byte, t time.Time) {
	var ns int64
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	binary.LittleEndian.PutUint64(p, uint64(ns))
}

func getTime(p []byte) time.Time {
	ns := int64(binary.LittleEndian.Uint64(p))
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// usageFields are the fields of Usage in the order of the protocol.
func usageFields(u *extent.Usage) [usageSize / 8]*uint64 {
	return [...]*uint64{&u.Total, &u.Free, &u.Chunks, &u.LiveBytes, &u.DeadBytes, &u.Extents, &u.SyncedCommits, &u.CommitChunks}
}

func putUsage(p []byte, u extent.Usage) {
	for i, f := range usageFields(&u) {
		binary.LittleEndian.PutUint64(p[8*i:], *f)
	}
}

// getUsage needs usageSize bytes.
func getUsage(p []byte) (u extent.Usage) {
	for i, f := range usageFields(&u) {
		*f = binary.LittleEndian.Uint64(p[8*i:])
	}
	return u
}

// counterFields are the counters of a target record, from byte 40.
func (s *TargetStatus) counterFields() [8]*uint64 {
	return [...]*uint64{
		&s.IOErrors, &s.ConsecutiveIOErrors, &s.CorruptFound, &s.Writers,
		&s.Reads, &s.ReadBytes, &s.Writes, &s.WrittenBytes,
	}
}

// put writes the record and returns its length, 0 when it does not fit.
func (s *TargetStatus) put(p []byte) int {
	dir, text := truncate(s.Dir, maxDir), truncate(s.Error, maxMessage)
	if len(p) < recordSize+len(dir)+len(text) {
		return 0
	}
	le := binary.LittleEndian
	clear(p[:recordSize])
	copy(p, s.ID[:])
	p[16] = byte(s.State)
	if s.WasMount {
		p[17] = 1
	}
	le.PutUint16(p[18:], uint16(len(dir)))
	le.PutUint16(p[20:], uint16(len(text)))
	putTime(p[24:], s.Since)
	putTime(p[32:], s.Checked)
	for i, f := range s.counterFields() {
		le.PutUint64(p[40+8*i:], *f)
	}
	putUsage(p[104:], s.Usage)
	n := recordSize
	n += copy(p[n:], dir)
	n += copy(p[n:], text)
	return n
}

// get reads a record and returns its length.
func (s *TargetStatus) get(p []byte) (int, error) {
	if len(p) < recordSize {
		return 0, protocolError("target record of %d bytes", len(p))
	}
	le := binary.LittleEndian
	dir, text := int(le.Uint16(p[18:])), int(le.Uint16(p[20:]))
	end := recordSize + dir + text
	if dir > maxDir || text > maxMessage || end > len(p) || p[17] > 1 || !zero(p[22:24]) {
		return 0, protocolError("bad target record")
	}
	s.ID, s.State, s.WasMount = TargetUUID(p[:16]), State(p[16]), p[17] == 1
	s.Since, s.Checked = getTime(p[24:]), getTime(p[32:])
	for i, f := range s.counterFields() {
		*f = le.Uint64(p[40+8*i:])
	}
	s.Usage = getUsage(p[104:])
	s.Dir = string(p[recordSize : recordSize+dir])
	s.Error = string(p[recordSize+dir : end])
	return end, nil
}
