package extent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Buckets of the index file.
var (
	bucketChunks  = []byte("chunks")  // set, index -> loc
	bucketExtents = []byte("extents") // number of a shared extent -> extentState
	bucketOwn     = []byte("own")     // number of an own-file extent -> chunk id
	bucketMeta    = []byte("meta")    // "head" -> indexHead
	keyHead       = []byte("head")
)

// boltIndex is the index in a bbolt file. bbolt keeps no checksums and panics,
// or faults in its mapping, on pages that make no sense: guard makes errIndex
// of both. Values have checksums of their own.
type boltIndex struct {
	db *bolt.DB
}

func guard(err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			*err = fmt.Errorf("bbolt: %v: %w", p, errIndex)
		}
	}
}

// openBolt opens or makes the file. An error of the file's content is errIndex.
func openBolt(path string) (x *boltIndex, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := checkSum(path); err != nil {
		return nil, err
	}
	defer guard(&err)()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 2 * time.Second, FreelistType: bolt.FreelistMapType})
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) || errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("open index: %w", err)
		}
		return nil, fmt.Errorf("open index: %w (%w)", errIndex, err)
	}
	return &boltIndex{db: db}, nil
}

func (x *boltIndex) get(id ID) (l loc, ok bool, err error) {
	defer guard(&err)()
	err = x.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketChunks)
		if b == nil {
			return nil
		}
		key := encodeKey(id)
		v := b.Get(key[:])
		if v == nil {
			return nil
		}
		ok = true
		var err error
		l, err = decodeLoc(key[:], v)
		return err
	})
	return l, ok, err
}

func (x *boltIndex) ascend(after *ID, fn func(ID, loc) bool) (err error) {
	defer guard(&err)()
	return x.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketChunks)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		var k, v []byte
		if after == nil {
			k, v = c.First()
		} else {
			key := encodeKey(*after)
			if k, v = c.Seek(key[:]); k != nil && string(k) == string(key[:]) {
				k, v = c.Next()
			}
		}
		for ; k != nil; k, v = c.Next() {
			id, ok := decodeKey(k)
			if !ok {
				return fmt.Errorf("key %x: %w", k, errIndex)
			}
			l, err := decodeLoc(k, v)
			if err != nil {
				return err
			}
			if !fn(id, l) {
				return nil
			}
		}
		return nil
	})
}

func (x *boltIndex) load() (s indexState, ok bool, err error) {
	defer guard(&err)()
	s.extents, s.own = make(map[uint64]extentState), make(map[uint64]ID)
	err = x.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || meta.Get(keyHead) == nil {
			return nil
		}
		var err error
		if s.indexHead, err = decodeHead(meta.Get(keyHead)); err != nil {
			return err
		}
		extents, own := tx.Bucket(bucketExtents), tx.Bucket(bucketOwn)
		if extents == nil || own == nil || tx.Bucket(bucketChunks) == nil {
			return fmt.Errorf("a bucket is missing: %w", errIndex)
		}
		ok = true
		if err := extents.ForEach(func(k, v []byte) error {
			if len(k) != 8 {
				return fmt.Errorf("extent key %x: %w", k, errIndex)
			}
			e, err := decodeExtent(k, v)
			s.extents[binary.BigEndian.Uint64(k)] = e
			return err
		}); err != nil {
			return err
		}
		return own.ForEach(func(k, v []byte) error {
			id, ok := decodeKey(v)
			if len(k) != 8 || !ok {
				return fmt.Errorf("own key %x: %w", k, errIndex)
			}
			s.own[binary.BigEndian.Uint64(k)] = id
			return nil
		})
	})
	return s, ok, err
}

func (x *boltIndex) apply(c *indexChange) (err error) {
	defer guard(&err)()
	err = x.db.Update(func(tx *bolt.Tx) error {
		var buckets [4]*bolt.Bucket
		for i, name := range [][]byte{bucketChunks, bucketExtents, bucketOwn, bucketMeta} {
			var err error
			if buckets[i], err = tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		if err := putChunks(buckets[0], buckets[2], c.entries); err != nil {
			return err
		}
		for num, e := range c.extents {
			key := binary.BigEndian.AppendUint64(nil, num)
			if err := buckets[1].Put(key, encodeExtent(key, &e)); err != nil {
				return err
			}
		}
		for _, num := range c.dropped {
			if err := buckets[1].Delete(binary.BigEndian.AppendUint64(nil, num)); err != nil {
				return err
			}
		}
		return buckets[3].Put(keyHead, encodeHead(&c.head))
	})
	if err == nil {
		err = writeSum(x.db.Path())
	}
	return err
}

// putChunks writes in key order, which is what a B+ tree likes.
func putChunks(chunks, own *bolt.Bucket, entries map[ID]entry) error {
	ids := make([]ID, 0, len(entries))
	for id := range entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareID)
	for _, id := range ids {
		e := entries[id]
		key := encodeKey(id)
		var err error
		if e.gone {
			err = chunks.Delete(key[:])
		} else {
			err = chunks.Put(key[:], encodeLoc(key[:], e.loc))
		}
		if err == nil && e.own {
			num := binary.BigEndian.AppendUint64(nil, e.extent)
			if e.gone {
				err = own.Delete(num)
			} else {
				err = own.Put(num, key[:])
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *boltIndex) close() (err error) {
	defer guard(&err)()
	return x.db.Close()
}
