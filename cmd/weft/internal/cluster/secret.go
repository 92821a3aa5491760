package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/weftstore/weft/rdma"
)

const maxSecret = 4096

// Secret reads the cluster's secret. The file must be the owner's alone.
func (f *File) Secret() ([]byte, error) {
	b, err := ReadSecret(f.SecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; copy it from the host where `weft cluster init` ran", err)
	}
	return b, err
}

// ReadSecret reads a secret. The file must be the owner's alone.
func ReadSecret(path string) ([]byte, error) {
	fd, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cluster secret %s is no regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cluster secret %s can be read by others; run `chmod 600 %s`", path, path)
	}
	b, err := io.ReadAll(io.LimitReader(fd, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) < rdma.MinSecret || len(b) > maxSecret {
		return nil, fmt.Errorf("cluster secret %s has %d bytes: want %d to %d", path, len(b), rdma.MinSecret, maxSecret)
	}
	return b, nil
}

// newSecret is text of 48 random bytes.
func newSecret() []byte {
	var b [48]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return append(base64.RawURLEncoding.AppendEncode(nil, b[:]), '\n')
}
