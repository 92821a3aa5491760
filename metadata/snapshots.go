package metadata

import (
	"context"
	"encoding/binary"
)

// Snapshots are stored on the targets in pieces; space s remembers where, by the
// snapshot's number and the piece's: "s", seq (8), piece (4), big-endian. The values are
// those of parts.
const spaceSnapshot = 's'

func keySnapshot(dst []byte, seq uint64, piece uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst[:0], spaceSnapshot), seq)
	return binary.BigEndian.AppendUint32(dst, piece)
}

// AddSnapshotPart records a piece of a snapshot.
func (db *DB) AddSnapshotPart(ctx context.Context, seq uint64, piece uint32, p *Part) error {
	return db.upkeep(ctx, "add snapshot", func(t Txn, s *scratch) error {
		s.key = keySnapshot(s.key, seq, piece)
		s.value = seal(appendPartRecord(s.value[:0], p), 0, s.key)
		return t.Put(s.key, s.value)
	})
}

// SnapshotPart reads where a piece is; ErrStale when it is not known.
func (db *DB) SnapshotPart(ctx context.Context, seq uint64, piece uint32) (*Part, error) {
	var p Part
	err := db.view(ctx, "read snapshot", func(r Reader, s *scratch) error {
		s.key = keySnapshot(s.key, seq, piece)
		raw, err := r.Get(s.key)
		if err != nil {
			return err
		}
		if raw == nil {
			return ErrStale
		}
		return decodePart(s.key, raw, &p)
	})
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// SnapshotSeqs lists the snapshots that pieces are known of, oldest first.
func (db *DB) SnapshotSeqs(ctx context.Context) ([]uint64, error) {
	var list []uint64
	err := db.view(ctx, "list snapshots", func(r Reader, _ *scratch) error {
		list = nil
		return r.Scan([]byte{spaceSnapshot}, []byte{spaceSnapshot + 1}, func(k, _ []byte) bool {
			if len(k) == 1+8+4 {
				if seq := binary.BigEndian.Uint64(k[1:]); len(list) == 0 || list[len(list)-1] != seq {
					list = append(list, seq)
				}
			}
			return true
		})
	})
	return list, err
}

// DropSnapshot makes garbage of a snapshot's pieces.
func (db *DB) DropSnapshot(ctx context.Context, seq uint64) error {
	return db.upkeep(ctx, "drop snapshot", func(t Txn, s *scratch) error {
		var keys [][]byte
		var parts []Part
		var bad error
		from := keySnapshot(nil, seq, 0)
		err := t.Scan(from, keySnapshot(nil, seq+1, 0), func(k, raw []byte) bool {
			var p Part
			if bad = decodePart(k, raw, &p); bad != nil {
				return false
			}
			keys, parts = append(keys, append([]byte(nil), k...)), append(parts, p)
			return true
		})
		if err == nil {
			err = bad
		}
		for i := range keys {
			if err == nil {
				err = t.Delete(keys[i])
			}
			if err == nil {
				err = db.queueSet(t, s, parts[i].Set, parts[i].Targets)
			}
		}
		return err
	})
}
