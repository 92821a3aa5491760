package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
)

const (
	minSecret = 32
	maxSecret = 4096
)

// Secret reads the cluster's secret. The file must be the owner's alone.
func (f *File) Secret() ([]byte, error) {
	fd, err := os.Open(f.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w; copy it from the host where `weft cluster init` ran", err)
	}
	defer fd.Close()
	info, err := fd.Stat()
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cluster secret %s is no regular file", f.SecretFile)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cluster secret %s can be read by others; run `chmod 600 %s`", f.SecretFile, f.SecretFile)
	}
	b, err := io.ReadAll(io.LimitReader(fd, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("cluster secret: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) < minSecret || len(b) > maxSecret {
		return nil, fmt.Errorf("cluster secret %s has %d bytes: want %d to %d", f.SecretFile, len(b), minSecret, maxSecret)
	}
	return b, nil
}

// newSecret is text of 48 random bytes.
func newSecret() []byte {
	var b [48]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return append(base64.RawURLEncoding.AppendEncode(nil, b[:]), '\n')
}
