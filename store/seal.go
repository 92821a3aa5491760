package store

import (
	"crypto/hkdf"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/minio/sio"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
)

// Key is the key of an object. Whoever makes one keeps it sealed in the version's
// Attrs; the store sees to it that it never reaches a target.
type Key [32]byte

// Seal says how an object or a part is encrypted.
type Seal struct {
	Key Key
	// Opaque: the ETag is random, as S3 has it where a key service or the client has the
	// key: the MD5 would tell who cannot read the object what is in it.
	Opaque bool
	// MD5 asks for Sums.MD5 in spite of Opaque, for Check.
	MD5 bool
}

// Constants of DARE 2.0, the format of sealed parts: packages of 64 KiB, each with a
// header and a tag.
const (
	sealPackage  = 64 << 10
	sealOverhead = 32
)

// sealedSize is how long n bytes are once they are sealed.
func sealedSize(n int64) int64 {
	return n + (n+sealPackage-1)/sealPackage*sealOverhead
}

// storedSize is how many bytes of a part are on the targets.
func storedSize(p *metadata.Part) int64 {
	if p.Sealed {
		return sealedSize(p.Size)
	}
	return p.Size
}

// config is DARE's for one chunk set. Each set has a key of its own: packages of another
// set, another object, or another place in the same set do not open.
func (k *Key) config(set metadata.SetID) (sio.Config, error) {
	key, err := hkdf.Key(sha256.New, k[:], set[:], "weft sealed part 1", len(k))
	if err != nil {
		return sio.Config{}, fmt.Errorf("derive key: %w", err)
	}
	return sio.Config{MinVersion: sio.Version20, MaxVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM}, Key: key}, nil
}

// sealing encrypts the body of a part on its way into the blocks.
type sealing struct {
	seal   *Seal
	body   io.Reader
	size   int64
	md5    hash.Hash // nil when nobody wants it
	other  hash.Hash // nil when MD5 is all that is wanted
	alg    checksum.Algorithm
	crypt  io.Reader
	jobs   chan []byte // copies for the goroutine that hashes; nil: hashed by the reader
	free   chan []byte
	done   chan struct{}
	hashed bool
}

func newSealing(src *partSource, set metadata.SetID) (*sealing, error) {
	c, err := src.seal.Key.config(set)
	if err != nil {
		return nil, err
	}
	w := &sealing{seal: src.seal, body: src.body, size: src.size, alg: src.alg}
	if w.alg == checksum.None {
		w.alg = checksum.CRC64NVME
	}
	if !w.seal.Opaque || w.seal.MD5 || w.alg == checksum.MD5 {
		w.md5 = md5.New()
	}
	if w.alg != checksum.MD5 {
		w.other = w.alg.New()
	}
	if src.size > hashAside {
		w.aside()
	}
	w.crypt, err = sio.EncryptReader(plainReader{w}, c)
	if err != nil {
		w.stop()
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return w, nil
}

// hashBuffers bounds the memory for copies of what is to be hashed.
const hashBuffers = 4

// aside hashes beside the encryption: together they would take as long as both.
func (w *sealing) aside() {
	w.jobs, w.free, w.done = make(chan []byte, hashBuffers), make(chan []byte, hashBuffers), make(chan struct{})
	for range hashBuffers {
		w.free <- make([]byte, sealPackage)
	}
	go func() {
		defer close(w.done)
		for b := range w.jobs {
			w.hash(b)
			w.free <- b[:cap(b)]
		}
	}()
}

func (w *sealing) hash(p []byte) {
	if w.md5 != nil {
		w.md5.Write(p)
	}
	if w.other != nil {
		w.other.Write(p)
	}
}

// plainReader is what the encryption reads from.
type plainReader struct{ w *sealing }

func (r plainReader) Read(p []byte) (int, error) {
	n, err := r.w.body.Read(p)
	if r.w.jobs == nil {
		r.w.hash(p[:n])
		return n, err
	}
	for rest := p[:n]; len(rest) > 0; {
		b := <-r.w.free
		m := copy(b, rest)
		r.w.jobs <- b[:m]
		rest = rest[m:]
	}
	return n, err
}

// Read gives the sealed bytes.
func (w *sealing) Read(p []byte) (int, error) { return w.crypt.Read(p) }

// stop ends the goroutine and waits for it. Idempotent.
func (w *sealing) stop() {
	if w.jobs != nil && !w.hashed {
		w.hashed = true
		close(w.jobs)
		<-w.done
	}
}

// finish gives the sums of the plain bytes, and the ETag that S3 shows.
func (w *sealing) finish() (sums Sums, etag [16]byte) {
	w.stop()
	if w.md5 != nil {
		w.md5.Sum(sums.MD5[:0])
	}
	sums.Digest = metadata.Digest{Algorithm: w.alg, Type: checksum.FullObject}
	if w.other != nil {
		sums.Digest.Sum = w.other.Sum(nil)
	} else {
		sums.Digest.Sum = append([]byte(nil), sums.MD5[:]...)
	}
	if etag = sums.MD5; w.seal.Opaque {
		_, _ = rand.Read(etag[:]) // never fails since Go 1.24
	}
	return sums, etag
}
