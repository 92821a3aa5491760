package extent

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/internal/vfs"
)

// SuperblockName is the file that makes a directory a target.
const SuperblockName = "weft.superblock"

const (
	superblockMagic = "weftsup\n"
	superblockSize  = 512
	superblockTemp  = SuperblockName + ".tmp"
	extentsDir      = "extents"
)

// Identity says whose target a directory is.
type Identity struct {
	Deployment [16]byte
	Target     [16]byte
}

// String is "deployment/target" in hexadecimal.
func (i Identity) String() string {
	return hex.EncodeToString(i.Deployment[:]) + "/" + hex.EncodeToString(i.Target[:])
}

// Superblock is what SuperblockName holds.
type Superblock struct {
	Identity
	Version uint16    // of the format
	Owner   [16]byte  // node that may write; zero: whoever opens it
	Epoch   uint64    // raised with every change of owner
	Created time.Time // by Format
}

func (s *Superblock) encode() []byte {
	b := make([]byte, superblockSize)
	le := binary.LittleEndian
	copy(b, superblockMagic)
	le.PutUint16(b[8:], s.Version)
	copy(b[16:], s.Deployment[:])
	copy(b[32:], s.Target[:])
	copy(b[48:], s.Owner[:])
	le.PutUint64(b[64:], s.Epoch)
	le.PutUint64(b[72:], uint64(s.Created.UnixNano()))
	le.PutUint64(b[superblockSize-8:], checksum.CRC64(b[:superblockSize-8]))
	return b
}

func decodeSuperblock(b []byte) (Superblock, error) {
	var s Superblock
	if len(b) != superblockSize {
		return s, fmt.Errorf("superblock: %d bytes: %w", len(b), ErrCorrupt)
	}
	le := binary.LittleEndian
	if string(b[:8]) != superblockMagic || le.Uint64(b[superblockSize-8:]) != checksum.CRC64(b[:superblockSize-8]) {
		return s, fmt.Errorf("superblock: %w", ErrCorrupt)
	}
	if s.Version = le.Uint16(b[8:]); s.Version != formatNumber {
		return s, fmt.Errorf("superblock: format version %d is not known: %w", s.Version, ErrCorrupt)
	}
	copy(s.Deployment[:], b[16:])
	copy(s.Target[:], b[32:])
	copy(s.Owner[:], b[48:])
	s.Epoch = le.Uint64(b[64:])
	s.Created = time.Unix(0, int64(le.Uint64(b[72:]))).UTC()
	return s, nil
}

// Format makes an empty directory a target. A directory with anything in it,
// or that is a target already, is refused with an error that is fs.ErrExist.
func Format(fsys vfs.FS, id Identity) error {
	names, err := fsys.List(".")
	if err != nil {
		return fmt.Errorf("format target: %w", err)
	}
	for _, name := range names {
		// What an earlier Format left that did not finish, and what mkfs makes.
		if name != superblockTemp && name != extentsDir && name != "lost+found" {
			return fmt.Errorf("format target: directory has %q in it: %w", name, fs.ErrExist)
		}
	}
	if err := fsys.MkdirAll(extentsDir); err != nil {
		return fmt.Errorf("format target: %w", err)
	}
	left, err := fsys.List(extentsDir)
	if err != nil {
		return fmt.Errorf("format target: %w", err)
	}
	if len(left) > 0 {
		return fmt.Errorf("format target: %d extents without a superblock: %w", len(left), fs.ErrExist)
	}
	sb := Superblock{Identity: id, Version: formatNumber, Created: time.Now()}
	return writeSuperblock(fsys, sb)
}

// writeSuperblock replaces the superblock: a crash leaves the old or the new.
func writeSuperblock(fsys vfs.FS, sb Superblock) error {
	if err := fsys.Remove(superblockTemp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write superblock: %w", err)
	}
	f, err := fsys.Create(superblockTemp)
	if err != nil {
		return fmt.Errorf("write superblock: %w", err)
	}
	_, err = f.WriteAt(sb.encode(), 0)
	if err == nil {
		err = f.SyncData()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(superblockTemp, SuperblockName)
	}
	if err == nil {
		err = fsys.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("write superblock: %w", err)
	}
	return nil
}

// ReadSuperblock reads the superblock of a directory: ErrOffline when there is
// none, ErrCorrupt when it is damaged or of an unknown version.
func ReadSuperblock(fsys vfs.FS) (Superblock, error) {
	f, err := fsys.Open(SuperblockName)
	if errors.Is(err, fs.ErrNotExist) {
		return Superblock{}, fmt.Errorf("read superblock: %w (%w)", ErrOffline, err)
	}
	if err != nil {
		return Superblock{}, fmt.Errorf("read superblock: %w", err)
	}
	defer f.Close()
	b := make([]byte, superblockSize+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Superblock{}, fmt.Errorf("read superblock: %w", err)
	}
	return decodeSuperblock(b[:n])
}

// SetOwner gives the target to another owner with a higher epoch. A process
// that has it open with a lower one gets ErrFenced from its next Check on.
// It is no compare-and-swap between hosts: the caller holds a lease.
func SetOwner(fsys vfs.FS, owner [16]byte, epoch uint64) (Superblock, error) {
	sb, err := ReadSuperblock(fsys)
	if err != nil {
		return sb, err
	}
	if epoch <= sb.Epoch {
		return sb, fmt.Errorf("set owner: epoch %d, target is at %d: %w", epoch, sb.Epoch, ErrFenced)
	}
	sb.Owner, sb.Epoch = owner, epoch
	return sb, writeSuperblock(fsys, sb)
}
