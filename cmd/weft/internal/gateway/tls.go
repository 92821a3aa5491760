package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/weftstore/weft/s3api"
)

// certCheckEvery bounds how often the files of a certificate are looked at.
const certCheckEvery = time.Second

// certificate is a pair of files that is read again when they change, so that a renewed
// certificate needs no restart. While the new files are no good the old pair serves.
type certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	seen    [2]fileStamp // of the files that were read last, good or not
	checked time.Time
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	changed time.Time
	size    int64
}

func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log, now: time.Now}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.load(c.stamps())
}

func (c *certificate) stamps() (s [2]fileStamp) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			s[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

// load is called with mu held.
func (c *certificate) load(stamps [2]fileStamp) error {
	c.seen, c.checked = stamps, c.now()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("certificate of --tls-cert and --tls-key: %w", err)
	}
	c.pair = &pair
	return nil
}

// get is tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.checked) >= certCheckEvery {
		c.refresh(false)
	}
	return c.pair, nil
}

// refresh reads the files when they have changed, or always when forced. mu is held.
func (c *certificate) refresh(force bool) {
	stamps := c.stamps()
	if c.checked = c.now(); stamps == c.seen && !force {
		return
	}
	if err := c.load(stamps); err != nil {
		c.log.Error("the new certificate cannot be used; the old one goes on", "err", err)
		return
	}
	c.log.Info("certificate read again", "file", c.cert, "ends", c.pair.Leaf.NotAfter)
}

// onHangup reads the files again at each SIGHUP until ctx ends.
func (c *certificate) onHangup(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			c.mu.Lock()
			c.refresh(true)
			c.mu.Unlock()
		}
	}
}

// protocols are those that clients may speak. One connection of HTTP/2 carries all of a
// client's streams through one TCP window, so HTTP/1.1 moves more bytes.
func (c *Config) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(c.HTTP2)
	p.SetUnencryptedHTTP2(c.HTTP2)
	return p
}

// serveS3 serves until the server is shut down.
func (g *Gateway) serveS3(ctx context.Context, s *http.Server) error {
	s.Protocols = g.cfg.protocols()
	if g.cert == nil {
		return s.Serve(s3api.Listen(g.listener))
	}
	go g.cert.onHangup(ctx)
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: g.cert.get}
	return s.ServeTLS(g.listener, "", "")
}
