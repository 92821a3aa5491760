package metadata

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Name spaces: the first byte of every key in the engine. The table is in doc.go.
const (
	spaceBucket  = 'b'
	spaceCounter = 'c'
	spaceDamage  = 'r'
	spaceEntity  = 'i'
	spaceGarbage = 'g'
	spaceNote    = 'e'
	spaceNull    = 'n'
	spaceObject  = 'o'
	spacePart    = 'p'
	spaceQuota   = 'q'
	spaceTarget  = 't'
	spaceUpload  = 'u'
	spaceVersion = 'v'
	spaceWork    = 'w'
)

// idLen is the length of the ids that end keys of versions and uploads.
const idLen = 16

// Every function below appends to dst[:0] and returns it, so that one buffer
// serves many keys.

func keyBucket(dst []byte, name string) []byte {
	return append(append(dst[:0], spaceBucket), name...)
}

// keyIn is the key of an object key (or of a prefix of some) in space o, n, v or u.
func keyIn(dst []byte, space byte, bucket uint64, key string) []byte {
	dst = append(dst[:0], space)
	dst = binary.BigEndian.AppendUint64(dst, bucket)
	return append(dst, key...)
}

// keyWithID is the key of a version (v) or of an upload (u). Keys have no NUL, so
// the order is that of the keys and then of the ids.
func keyWithID(dst []byte, space byte, bucket uint64, key string, id [idLen]byte) []byte {
	dst = append(keyIn(dst, space, bucket, key), 0)
	return append(dst, id[:]...)
}

// keyAfterAll is the first key past every id of key in space v or u.
func keyAfterAll(dst []byte, space byte, bucket uint64, key string) []byte {
	return append(keyIn(dst, space, bucket, key), 1)
}

func keyPart(dst []byte, upload UploadID, number uint16) []byte {
	dst = append(dst[:0], spacePart)
	dst = append(dst, upload[:]...)
	return binary.BigEndian.AppendUint16(dst, number)
}

func keyGarbage(dst []byte, base uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], spaceGarbage), base)
}

func keyDamage(dst []byte, set SetID) []byte {
	return append(append(dst[:0], spaceDamage), set[:]...)
}

func keyTarget(dst []byte, id TargetID) []byte {
	return binary.BigEndian.AppendUint16(append(dst[:0], spaceTarget), uint16(id))
}

func keyCounter(name string) []byte { return append([]byte{spaceCounter}, name...) }

// keyPrefixLen is the length of what keyIn puts before the object key.
const keyPrefixLen = 1 + 8

// objectKey is the S3 key in a key of space o or n.
func objectKey(k []byte) ([]byte, bool) {
	if len(k) <= keyPrefixLen {
		return nil, false
	}
	return k[keyPrefixLen:], true
}

// splitID takes a key of space v or u apart.
func splitID(k []byte) (key []byte, id [idLen]byte, ok bool) {
	end := len(k) - idLen - 1
	if end <= keyPrefixLen || k[end] != 0 {
		return nil, id, false
	}
	copy(id[:], k[end+1:])
	return k[keyPrefixLen:end], id, true
}

// prefixEnd is the first key after all that begin with p; nil when there is none.
func prefixEnd(p []byte) []byte {
	// Not bytes.TrimRight: it trims characters, and to it every byte that is no
	// UTF-8 is the same one.
	n := len(p)
	for n > 0 && p[n-1] == 0xff {
		n--
	}
	if n == 0 {
		return nil
	}
	end := bytes.Clone(p[:n])
	end[n-1]++
	return end
}

// checkKey refuses what the key spaces cannot hold; s3api gives better errors before.
func checkKey(key string) error {
	if key == "" || len(key) > MaxKey || strings.IndexByte(key, 0) >= 0 {
		return ErrInvalidKey
	}
	return nil
}
