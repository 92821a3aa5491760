package etcdkv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Config says which cluster to use, and how.
type Config struct {
	Endpoints []string // host:port
	Prefix    string   // of all keys; several stores share a cluster by it
	// CA, Cert and Key are files in PEM. With any of them, or TLS, connections use
	// TLS. Without CA the system's authorities are trusted.
	CA, Cert, Key string
	TLS           bool
	Username      string
	Password      string
	PasswordFile  string // read by Open when Password is empty; its first line counts

	DialTimeout    time.Duration // how long Open waits for an answer. 0: 5 s
	RequestTimeout time.Duration // of each request. 0: 5 s
	ResolveTimeout time.Duration // to find out whether a commit happened. 0: 30 s
	// Patience is how long a request that may be sent twice is sent again while etcd does not
	// answer, from its first failure on; an election takes one to three seconds. After as long
	// without any answer requests fail at once. 0: 5 s
	Patience time.Duration
}

// Limits of what is parsed.
const (
	maxEndpoints = 64
	maxPrefix    = 256
	maxURL       = 16 << 10
)

// ParseURL reads
//
//	etcd://host:port[,host:port…][/prefix][?ca=FILE&cert=FILE&key=FILE&tls=true&user=NAME&password-file=FILE&timeout=5s]
//
// The prefix, percent-encoded, is kept with its leading slash and ends in one. A
// password in the URL is refused: URLs end up in process lists. Errors do not repeat
// the URL.
func ParseURL(s string) (Config, error) {
	var cfg Config
	rest, ok := strings.CutPrefix(s, "etcd://")
	if !ok || len(s) > maxURL {
		return cfg, errors.New("metadata URL: want etcd://host:port,host:port/prefix")
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, prefix, hasPrefix := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") {
		return cfg, errors.New("metadata URL: no user or password before the hosts; use ?user=NAME&password-file=FILE")
	}
	cfg.Endpoints = strings.Split(hosts, ",")
	if hasPrefix && prefix != "" {
		p, err := url.PathUnescape(strings.TrimSuffix(prefix, "/"))
		if err != nil {
			return Config{}, errors.New("metadata URL: prefix is not percent-encoded properly")
		}
		cfg.Prefix = "/" + p + "/"
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Config{}, errors.New("metadata URL: what follows ? does not parse as name=value&…")
	}
	for name, v := range values {
		if err := cfg.set(name, v[len(v)-1]); err != nil {
			return Config{}, fmt.Errorf("metadata URL: %w", err)
		}
	}
	if err := cfg.Validate(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func (c *Config) set(name, value string) (err error) {
	switch name {
	case "ca":
		c.CA = value
	case "cert":
		c.Cert = value
	case "key":
		c.Key = value
	case "user":
		c.Username = value
	case "password-file":
		c.PasswordFile = value
	case "tls":
		if c.TLS, err = strconv.ParseBool(value); err != nil {
			return errors.New("tls is true or false")
		}
	case "timeout":
		if c.RequestTimeout, err = time.ParseDuration(value); err != nil || c.RequestTimeout <= 0 {
			return errors.New("timeout is a duration such as 5s")
		}
	case "password":
		return errors.New("no password in the URL; use password-file=FILE")
	default:
		return errors.New("unknown setting; known are ca, cert, key, tls, user, password-file, timeout")
	}
	return nil
}

// Validate lists everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("etcd: "+format, args...)) }
	if len(c.Endpoints) == 0 || len(c.Endpoints) > maxEndpoints {
		bad("%d endpoints, want 1 to %d", len(c.Endpoints), maxEndpoints)
	}
	for i, e := range c.Endpoints {
		host, port, err := net.SplitHostPort(e)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@?# ") {
			bad("endpoint %d is not host:port", i+1)
		}
	}
	if len(c.Prefix) > maxPrefix {
		bad("prefix of %d bytes, at most %d", len(c.Prefix), maxPrefix)
	}
	if (c.Cert == "") != (c.Key == "") {
		bad("cert and key go together")
	}
	if c.Username == "" && (c.Password != "" || c.PasswordFile != "") {
		bad("a password without a user")
	}
	if c.Username != "" && c.Password == "" && c.PasswordFile == "" {
		bad("user without a password; give password-file")
	}
	return errors.Join(errs...)
}

// Check reads the files that c names, as Open does.
func (c *Config) Check() error {
	_, err := c.tls()
	_, perr := c.password()
	return errors.Join(err, perr)
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func (c *Config) password() (string, error) {
	if c.Password != "" || c.PasswordFile == "" {
		return c.Password, nil
	}
	b, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("%s has no password in its first line", c.PasswordFile)
	}
	return line, nil
}

// refusal is why no TLS connection to any endpoint comes about, of which etcd's client tells only that time was up; nil
// when one does.
func (c *Config) refusal(ctx context.Context) error {
	conf, err := c.tls()
	if conf == nil || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // that of the caller is up by now
	defer cancel()
	for _, e := range c.Endpoints {
		var conn net.Conn
		if conn, err = (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", e); err == nil {
			return conn.Close()
		}
	}
	return err
}

// advise says which setting to look at when etcd lets nobody in.
func (c *Config) advise(ctx context.Context, err error) error {
	if Passing(err) {
		if why := c.refusal(ctx); why != nil {
			err = fmt.Errorf("%w: %w", err, why)
		}
	}
	switch {
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: user and password-file must be those of this etcd cluster", err)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: this etcd cluster wants a user; add user=NAME&password-file=FILE", err)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%w: grant the user %q a role with readwrite on the keys that begin with %q", err, c.Username, c.Prefix)
	case strings.Contains(err.Error(), "x509: "): // of several types
		return fmt.Errorf("%w: this etcd cluster has a certificate of another authority or name; ca=FILE must be that of its authority", err)
	}
	return err
}

func (c *Config) tls() (*tls.Config, error) {
	if !c.TLS && c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
