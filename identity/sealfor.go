package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
)

// A secret that SealFor sealed: format 2, id of the ring's key 8, salt 16, and what
// AES-256-GCM makes with a key that is derived from the ring's and the salt and is used
// once, so with a nonce of zero.
const (
	sealForFormat = 2
	saltLen       = 16
	sealForHead   = 1 + ringIDLen + saltLen
)

// SealFor encrypts any number of secrets: each has a key of its own. name tells what the
// ring is used for; bound is what the result can be opened with only.
func (k *Keyring) SealFor(name string, plain, bound []byte) []byte {
	key := &k.keys[0]
	out := append([]byte{sealForFormat}, key.id[:]...)
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:]) // never fails since Go 1.24
	out = append(out, salt[:]...)
	return key.derive(name, salt[:]).Seal(out, make([]byte, 12), plain, bound)
}

// OpenFor is the reverse, with any key of the ring. ErrSealed.
func (k *Keyring) OpenFor(name string, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < sealForHead || sealed[0] != sealForFormat {
		return nil, ErrSealed
	}
	for i := range k.keys {
		key := &k.keys[i]
		if string(key.id[:]) != string(sealed[1:1+ringIDLen]) {
			continue
		}
		aead := key.derive(name, sealed[1+ringIDLen:sealForHead])
		if plain, err := aead.Open(nil, make([]byte, 12), sealed[sealForHead:], bound); err == nil {
			return plain, nil
		}
	}
	return nil, ErrSealed
}

func (key *ringKey) derive(name string, salt []byte) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, key.raw[:], salt, "weft sealed for "+name, ringKeyLen)
	if err != nil {
		panic(err) // only for lengths that are too large
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}
