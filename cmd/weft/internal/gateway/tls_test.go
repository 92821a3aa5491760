package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair makes a certificate whose name is in its serial number.
func writePair(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "weft"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, like, like, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificateReload: new files are taken without a restart, files that are no good
// are not, and connections go on meanwhile.
func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if _, err := loadCertificate(cert, key, log); err == nil {
		t.Fatal("files that are not there are a certificate")
	}
	writePair(t, cert, key, 1)
	c, err := loadCertificate(cert, key, log)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	want := func(serial int64) {
		t.Helper()
		pair, err := c.get(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != serial {
			t.Fatalf("serial %v, want %d, %v", pair.Leaf.SerialNumber, serial, err)
		}
	}
	want(1)
	touch := func() { // files may be written within the clock's grain
		at := now
		for _, f := range []string{cert, key} {
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	now = now.Add(certCheckEvery)
	writePair(t, cert, key, 2)
	touch()
	want(2)
	now = now.Add(certCheckEvery)
	if err := os.WriteFile(key, []byte("half a ke"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(2)
	now = now.Add(certCheckEvery)
	writePair(t, cert, key, 3)
	touch()
	want(3)
}

// TestServeTLS: HTTP/1.1 by default, HTTP/2 when asked, and the next handshake sees a
// certificate that was exchanged.
func TestServeTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
		writePair(t, cert, key, 1)
		g := &Gateway{cfg: Config{HTTP2: h2}, log: slog.New(slog.DiscardHandler)}
		var err error
		if g.cert, err = loadCertificate(cert, key, g.log); err != nil {
			t.Fatal(err)
		}
		if g.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), ReadHeaderTimeout: time.Minute}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.serveS3(ctx, s) }()
		for serial := int64(1); serial <= 2; serial++ {
			tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			res, err := (&http.Client{Transport: tr}).Get("https://" + g.listener.Addr().String() + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			tr.CloseIdleConnections()
			if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]; string(body) != want {
				t.Errorf("%s, want %s", body, want)
			}
			if got := res.TLS.PeerCertificates[0].SerialNumber.Int64(); got != serial {
				t.Errorf("serial %d, want %d", got, serial)
			}
			writePair(t, cert, key, serial+1)
			g.cert.mu.Lock()
			g.cert.refresh(true)
			g.cert.mu.Unlock()
		}
		cancel()
		s.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	}
}
