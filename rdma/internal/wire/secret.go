package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Proof is the HMAC-SHA256 of a label and of parts under the cluster's secret, cut
// to n bytes, at least 16. Each part is preceded by its length, so that no two
// lists of parts give the same bytes; the label tells who proves what.
func Proof(secret []byte, n int, label string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, secret)
	var size [4]byte
	write := func(p []byte) {
		binary.LittleEndian.PutUint32(size[:], uint32(len(p)))
		h.Write(size[:])
		h.Write(p)
	}
	write([]byte(label))
	for _, p := range parts {
		write(p)
	}
	return h.Sum(nil)[:max(n, 16)]
}

// Proves compares a received proof with the right one in constant time.
func Proves(got, want []byte) bool { return hmac.Equal(got, want) }
