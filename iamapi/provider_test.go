package iamapi

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The OpenID Connect provider of the tests is a process of its own: this binary again,
// told so by the environment. It serves discovery and keys over TLS with a certificate of
// its own, signs whatever claims are posted to /sign, and changes its keys at /rotate.

const providerEnv = "WEFT_TEST_OIDC_PROVIDER"

func TestMain(m *testing.M) {
	if os.Getenv(providerEnv) != "" {
		if err := serveProvider(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// providerKeys are what the process signs with: by "alg".
type providerKeys struct {
	mu      sync.Mutex
	serial  int
	signers map[jose.SignatureAlgorithm]jose.JSONWebKey
	fetched int
}

func (k *providerKeys) rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	k.serial++
	k.signers = map[jose.SignatureAlgorithm]jose.JSONWebKey{}
	for alg, key := range map[jose.SignatureAlgorithm]crypto.Signer{jose.RS256: r, jose.ES256: e} {
		k.signers[alg] = jose.JSONWebKey{Key: key, KeyID: fmt.Sprintf("%s-%d", alg, k.serial), Algorithm: string(alg), Use: "sig"}
	}
	return nil
}

func serveProvider(in io.Reader, out io.Writer) error {
	cert, pemBytes, err := selfSigned()
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	issuer := "https://" + l.Addr().String() + "/realms/HPC"
	keys := &providerKeys{}
	if err := keys.rotate(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realms/HPC/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": issuer + "/keys"})
	})
	mux.HandleFunc("GET /realms/HPC/keys", func(w http.ResponseWriter, _ *http.Request) {
		keys.mu.Lock()
		defer keys.mu.Unlock()
		keys.fetched++
		set := jose.JSONWebKeySet{}
		for _, k := range keys.signers {
			set.Keys = append(set.Keys, k.Public())
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	mux.HandleFunc("POST /rotate", func(http.ResponseWriter, *http.Request) { _ = keys.rotate() })
	mux.HandleFunc("GET /fetched", func(w http.ResponseWriter, _ *http.Request) {
		keys.mu.Lock()
		defer keys.mu.Unlock()
		fmt.Fprint(w, keys.fetched)
	})
	mux.HandleFunc("POST /sign/{alg}", func(w http.ResponseWriter, r *http.Request) {
		var claims map[string]any
		keys.mu.Lock()
		key := keys.signers[jose.SignatureAlgorithm(r.PathValue("alg"))]
		keys.mu.Unlock()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(r.PathValue("alg")), Key: key}, nil)
		if err == nil {
			err = json.NewDecoder(r.Body).Decode(&claims)
		}
		token := ""
		if err == nil {
			token, err = jwt.Signed(signer).Claims(claims).Serialize()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, token)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, in) // it ends with the test
		srv.Close()
	}()
	fmt.Fprintln(out, issuer)
	_ = pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: pemBytes})
	fmt.Fprintln(out)
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "provider"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, like, like, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, der, err
}

// provider is the running process.
type provider struct {
	*testing.T
	issuer string
	client *http.Client
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), providerEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("provider: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	var text []string
	for lines.Scan() && lines.Text() != "" {
		text = append(text, lines.Text())
	}
	if len(text) < 3 {
		t.Fatalf("the provider said %q", text)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(strings.Join(text[1:], "\n")))
	p := &provider{t, text[0], &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

// ask talks to the process beside OpenID Connect.
func (p *provider) ask(method, path, body string) string {
	p.Helper()
	u, err := url.Parse(p.issuer)
	if err != nil {
		p.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.Context(), method, "https://"+u.Host+path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, got, err)
	}
	return string(got)
}

// sign makes a token; claims override the usual ones, nil removes one.
func (p *provider) sign(alg string, claims map[string]any) string {
	p.Helper()
	now := time.Now().Unix()
	all := map[string]any{"iss": p.issuer, "sub": "alice", "aud": []string{"weft", "other"}, "iat": now, "exp": now + 300}
	for k, v := range claims {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		p.Fatal(err)
	}
	return p.ask("POST", "/sign/"+alg, string(b))
}
