package server

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/weftstore/weft/identity"
)

// TestEncryptedObjects: fault model: all of the state directory is lost but the keyring,
// and a key was put in front of the ring meanwhile. Encrypted objects, in one piece and in
// parts, are rebuilt from the targets and read; nowhere below the targets or the state is
// a run of what they say, and with another keyring nothing opens.
func TestEncryptedObjects(t *testing.T) {
	cfg := testConfig(t, 5)
	cfg.Keyring = filepath.Join(t.TempDir(), "keyring")
	first, second := identity.GenerateKeyring(), identity.GenerateKeyring()
	writeRing := func(text ...[]byte) {
		if err := os.WriteFile(cfg.Keyring, bytes.Join(text, nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeRing(first)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := start(t, cfg, log)
	r.makeBucket()
	kms, err := encrypt.NewSSEKMS("weft", map[string]string{"project": "x"})
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("what nobody reads on the targets")
	bodies := map[string][]byte{}
	putAll := func(round int) {
		for name, sse := range map[string]encrypt.ServerSide{"s3": encrypt.NewSSE(), "kms": kms} {
			for _, n := range []int{1, 1000, 100_000, 12 << 20} { // the last in parts
				key := fmt.Sprint(name, round, "/", n)
				body := bytes.Repeat(secret, n/len(secret)+1)[:n]
				bodies[key] = body
				if _, err := r.cl.PutObject(t.Context(), testBucket, key, bytes.NewReader(body), int64(n), minio.PutObjectOptions{ServerSideEncryption: sse, PartSize: 5 << 20}); err != nil {
					t.Fatal(key, err)
				}
			}
		}
	}
	getAll := func() {
		t.Helper()
		for key, body := range bodies {
			o, err := r.cl.GetObject(t.Context(), testBucket, key, minio.GetObjectOptions{})
			if err != nil {
				t.Fatal(key, err)
			}
			got, err := io.ReadAll(o)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s: %d bytes of %d, %v", key, len(got), len(body), err)
			}
		}
	}
	putAll(1)
	getAll()
	r.stop()
	writeRing(second, first)
	r = start(t, cfg, log)
	putAll(2)
	getAll()
	plain := []byte("the search finds what is not encrypted")
	if _, err := r.cl.PutObject(t.Context(), testBucket, "plain", bytes.NewReader(plain), int64(len(plain)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	bodies["plain"] = plain
	r.stop()
	control := 0
	for _, dir := range append([]string{cfg.State}, cfg.Targets...) {
		if found := filesWith(t, dir, secret[:16]); len(found) > 0 {
			t.Errorf("plain bytes in %v", found)
		}
		control += len(filesWith(t, dir, plain))
	}
	if control == 0 {
		t.Error("the search does not find what is there")
	}
	if err := os.RemoveAll(cfg.State); err != nil {
		t.Fatal(err)
	}
	if res, err := Rebuild(t.Context(), cfg, false, log, nil); err != nil || res.Lost != 0 {
		t.Fatalf("rebuild: %+v, %v", res, err)
	}
	r = start(t, cfg, log)
	getAll()
	r.stop()
	writeRing(identity.GenerateKeyring())
	r = start(t, cfg, log)
	delete(bodies, "plain")
	for key := range bodies {
		o, err := r.cl.GetObject(t.Context(), testBucket, key, minio.GetObjectOptions{})
		if err == nil {
			if got, err := io.ReadAll(o); err == nil || len(got) > 0 {
				t.Fatalf("%s with another keyring: %d bytes, %v", key, len(got), err)
			}
		}
	}
}

// filesWith names the files below dir in which text is.
func filesWith(t *testing.T, dir string, text []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
