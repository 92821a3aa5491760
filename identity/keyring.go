package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	sealFormat = 1
	ringIDLen  = 8
	ringKeyLen = 32
	sealHead   = 1 + ringIDLen + 12
	maxRing    = 64 // keys
)

// Keyring seals secrets and opens them.
type Keyring struct{ keys []ringKey }

type ringKey struct {
	id   [ringIDLen]byte
	aead cipher.AEAD
	raw  [ringKeyLen]byte // for SealFor
}

// ParseKeyring reads the file; an error never tells what is in it.
func ParseKeyring(text []byte) (*Keyring, error) {
	k := &Keyring{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, key, _ := strings.Cut(line, " ")
		rawID, err := hex.DecodeString(id)
		rawKey, err2 := hex.DecodeString(strings.TrimSpace(key))
		if err != nil || err2 != nil || len(rawID) != ringIDLen || len(rawKey) != ringKeyLen {
			return nil, fmt.Errorf("keyring: line %d is not an id of 16 and a key of 64 hexadecimal digits", number)
		}
		if err := k.add([ringIDLen]byte(rawID), rawKey); err != nil {
			return nil, fmt.Errorf("keyring: line %d: %w", number, err)
		}
	}
	if len(k.keys) == 0 {
		return nil, errors.New("keyring: it has no key")
	}
	return k, nil
}

// NewKeyring makes a ring of one key; the key is 32 bytes.
func NewKeyring(id [8]byte, key []byte) (*Keyring, error) {
	k := &Keyring{}
	return k, k.add(id, key)
}

// Seals is the id of the key that seals, in hexadecimal digits as in the file.
func (k *Keyring) Seals() string { return hex.EncodeToString(k.keys[0].id[:]) }

// Has tells whether the ring opens what the key of an id seals.
func (k *Keyring) Has(id string) bool {
	return slices.ContainsFunc(k.keys, func(r ringKey) bool { return hex.EncodeToString(r.id[:]) == id })
}

// GenerateKeyring makes the text of a file with one random key.
func GenerateKeyring() []byte {
	var b [ringIDLen + ringKeyLen]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return fmt.Appendf(nil, "# The first key seals the secrets of access keys, all of them open. Whoever has this\n# file and the metadata has the secrets.\n%x %x\n", b[:ringIDLen], b[ringIDLen:])
}

func (k *Keyring) add(id [ringIDLen]byte, key []byte) error {
	if len(k.keys) == maxRing {
		return errors.New("too many keys")
	}
	for i := range k.keys {
		if k.keys[i].id == id {
			return errors.New("its id is there twice")
		}
	}
	if len(key) != ringKeyLen {
		return errors.New("a key is 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	k.keys = append(k.keys, ringKey{id, aead, [ringKeyLen]byte(key)})
	return nil
}

// seal encrypts; bound is what the result can be opened with only.
func (k *Keyring) seal(plain []byte, bound string) []byte {
	key := &k.keys[0]
	out := append([]byte{sealFormat}, key.id[:]...)
	var nonce [12]byte
	_, _ = rand.Read(nonce[:])
	out = append(out, nonce[:]...)
	return key.aead.Seal(out, nonce[:], plain, []byte(bound))
}

// open is the reverse. ErrSealed.
func (k *Keyring) open(sealed []byte, bound string) ([]byte, error) {
	if len(sealed) < sealHead || sealed[0] != sealFormat {
		return nil, ErrSealed
	}
	for i := range k.keys {
		key := &k.keys[i]
		if string(key.id[:]) != string(sealed[1:1+ringIDLen]) {
			continue
		}
		if plain, err := key.aead.Open(nil, sealed[1+ringIDLen:sealHead], sealed[sealHead:], []byte(bound)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrSealed
}
