package s3load

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// root is the prefix of every key this tool writes; nothing outside it is ever deleted.
const root = "weftbench/"

// target is an endpoint made ready: where to connect and what to put into requests. Read-only once made.
type target struct {
	ep      Endpoint
	addr    string // host:port to dial
	host    string // Host header
	tls     *tls.Config
	region  string
	timeout time.Duration
	bucket  string // "/bucket", escaped
	gen     *content
	cfg     *Config
}

func newTarget(cfg *Config, ep Endpoint, gen *content) (*target, error) {
	u, err := url.Parse(ep.URL)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", ep.Name, err)
	}
	t := &target{
		ep: ep, host: u.Host, region: cfg.Region, timeout: cfg.Timeout,
		bucket: "/" + cfg.Bucket, gen: gen, cfg: cfg,
	}
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		t.tls = &tls.Config{
			ServerName: u.Hostname(), MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: cfg.Insecure, //nolint:gosec // asked for by flag, for self-signed test servers
		}
	}
	return t, nil
}

// keySet names objects that are prepared: prefix + eight digits, so that they sort by number.
type keySet struct {
	prefix string
	count  int
	size   int64
}

// listKeySize is the size of the objects that listings are made of.
const listKeySize = 64

func dataKeys(cfg *Config, size int64) keySet {
	return keySet{prefix: root + "data-" + strconv.FormatInt(size, 10) + "/", count: cfg.Objects, size: size}
}

func listKeys(cfg *Config) keySet {
	return keySet{prefix: root + "list-" + strconv.Itoa(cfg.Keys) + "/", count: cfg.Keys, size: listKeySize}
}

func elsewhereKeys(cfg *Config) keySet {
	return keySet{prefix: root + "elsewhere/", count: cfg.Elsewhere, size: listKeySize}
}

// append appends the i-th key.
func (k *keySet) append(dst []byte, i int) []byte {
	dst = append(dst, k.prefix...)
	for div := 10_000_000; div > 0; div /= 10 {
		dst = append(dst, byte('0'+i/div%10))
	}
	return dst
}

// index is the inverse of append: the number of a key, or -1 for a key that is not in the set.
func (k *keySet) index(key []byte) int {
	if len(key) != len(k.prefix)+8 || string(key[:len(k.prefix)]) != k.prefix {
		return -1
	}
	n := 0
	for _, d := range key[len(k.prefix):] {
		if d < '0' || d > '9' {
			return -1
		}
		n = n*10 + int(d-'0')
	}
	if n >= k.count {
		return -1
	}
	return n
}
