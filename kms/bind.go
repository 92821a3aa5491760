package kms

import (
	"crypto/hmac"
	"crypto/sha256"
)

// bind derives the key that belongs to bound.
func (k Key) bind(bound []byte) Key {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte("weft bound data key 1"))
	m.Write(bound)
	return Key(m.Sum(nil))
}

// Derive gives the key of one object from a data key; salt is the object's.
func (k Key) Derive(salt []byte) Key {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte("weft object key 1"))
	m.Write(salt)
	return Key(m.Sum(nil))
}
