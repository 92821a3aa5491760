package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"time"

	"github.com/weftstore/weft/iamapi"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/sigv4"
)

// s3Server is the S3 front end.
func (g *Gateway) s3Server() (*http.Server, error) {
	access := g.access(func(a s3api.Access) {
		if g.audit != nil {
			g.audit.Access(a)
		}
		if a.Status > http.StatusInternalServerError && a.Status != http.StatusNotImplemented && a.Err != nil {
			g.log.Error("request failed", "id", a.RequestID, "op", a.Operation, "bucket", a.Bucket, "key", a.Key,
				"status", a.Status, "code", a.Code, "err", a.Err)
		}
	})
	gate := fair.NewGate(g.places(), requests/2)
	if g.places() < requests {
		g.background(func(ctx context.Context) {
			if err := gate.KeepRounds(ctx); err != nil {
				g.log.Warn("small requests of tenants share the gateway first come, first served", "err", err)
			}
		})
	}
	h, err := s3api.New(s3api.Config{
		Auth:    &sigv4.Verifier{Region: g.cfg.Region, Lookup: g.lookup},
		Buckets: g.parts.Meta.DB, Versions: g.parts.Meta.DB, Listings: g.parts.Meta.DB, Uploads: g.parts.Meta.DB,
		Objects:    s3api.FromStore(g.store),
		ObjectKeys: &kms.Local{Ring: g.ring, Names: []string{""}}, KMS: g.keys, TrustHTTP: g.cfg.TLSInFront,
		Notify: g.notifications(),
		Region: g.cfg.Region, Ownership: g.cfg.Ownership,
		Domains: g.cfg.Domains,
		Ready:   g.ready,
		Logger:  g.log,
		Events:  s3api.Events{Access: access},
		Tracer:  g.parts.Tracer, LogEvery: time.Duration(g.cfg.LogEvery),
		Gate:   gate,
		Meter:  fair.NewMeter(),
		Limits: s3api.Limits{Requests: requests},
	})
	if err != nil {
		return nil, err
	}
	g.logs = h.AccessLogs()
	if m := g.parts.Metrics; m != nil {
		m.BucketLogs(g.logs.Lost)
	}
	server := s3api.NewServer(h)
	server.Handler = iamapi.New(iamapi.Config{Registry: g.registry, Lookup: g.lookup, Tokens: oidc.New(nil, nil), Region: g.cfg.Region,
		Next: h, IsService: h.IsService, Access: access, Logger: g.log})
	return server, nil
}

// requests bounds those at work and waiting; a tenant may have half of them.
const requests = 4096

// ready is nil while writes can be acknowledged. When the only etcd cluster does not know
// this gateway it answers nothing; with several those that are left have buckets.
func (g *Gateway) ready() error {
	if m := g.parts.Member; m != nil && m.Term() == 0 && len(g.parts.Meta.Clusters) == 1 {
		return errors.New("not registered in etcd")
	}
	return g.store.Ready()
}

func (g *Gateway) places() int {
	if g.cfg.Places > 0 {
		return g.cfg.Places
	}
	return max(8*runtime.GOMAXPROCS(0), 16)
}

// access counts requests on the way to next.
func (g *Gateway) access(next func(s3api.Access)) func(s3api.Access) {
	if m := g.parts.Metrics; m != nil {
		return m.Access(next)
	}
	return next
}

// lookup finds the root keys, which are not in the metadata, and all others.
func (g *Gateway) lookup(ctx context.Context, accessKey, token string) (sigv4.Key, error) {
	if accessKey != g.creds.access {
		return g.directory.Lookup(ctx, accessKey, token)
	}
	if token != "" {
		return sigv4.Key{}, sigv4.ErrInvalidToken
	}
	return sigv4.Key{Secret: g.creds.secret, Owner: g.operator}, nil
}

// Describe tells the operator where the server is, what it survives and what to
// try. The secret key is not in it.
func (g *Gateway) Describe(w io.Writer) {
	scheme := "http"
	if g.cfg.TLSCert != "" {
		scheme = "https"
	}
	url := scheme + "://" + g.Addr()
	if host, port, err := net.SplitHostPort(g.Addr()); err == nil && net.ParseIP(host).IsUnspecified() {
		url = scheme + "://" + net.JoinHostPort("127.0.0.1", port)
	}
	fmt.Fprintf(w, "Weft serves S3 at %s from %s\n", url, g.where())
	switch n := g.parts.Layout.M; {
	case n == 0:
		fmt.Fprintf(w, "Layout %s: NO REDUNDANCY. The loss of any target loses objects, unless the\nfile system beneath protects them. With 4 directories or more, any 2 may be lost.\n", g.parts.Layout)
	case n == 1:
		fmt.Fprintf(w, "Layout %s: survives the loss of any one target\n", g.parts.Layout)
	default:
		fmt.Fprintf(w, "Layout %s: survives the loss of any %d targets\n", g.parts.Layout, n)
	}
	if f := g.parts.Describe; f != nil {
		fmt.Fprintln(w, "Fabric:")
		for _, line := range f() {
			fmt.Fprintln(w, " ", line)
		}
	}
	fmt.Fprintf(w, "State in %s\n\nTry:\n", g.cfg.State)
	if g.creds.file != "" {
		fmt.Fprintf(w, "  export AWS_SHARED_CREDENTIALS_FILE=%s AWS_DEFAULT_REGION=%s\n", filepath.Clean(g.creds.file), g.cfg.Region)
	} else {
		fmt.Fprintf(w, "  export AWS_ACCESS_KEY_ID=$%s AWS_SECRET_ACCESS_KEY=$%s AWS_DEFAULT_REGION=%s\n", "WEFT_ROOT_ACCESS_KEY", "WEFT_ROOT_SECRET_KEY", g.cfg.Region)
	}
	fmt.Fprintf(w, "  aws --endpoint-url %s s3 mb s3://demo\n  aws --endpoint-url %s s3 cp FILE s3://demo/\n  weft admin status --state %s\n", url, url, g.cfg.State)
}

// where counts targets and nodes.
func (g *Gateway) where() string {
	targets, up := 0, 0
	for _, l := range g.nodes.list() {
		targets += l.cfg().Targets
		if state, _ := l.snapshot(); state.Error == "" {
			up++
		}
	}
	if len(g.nodes.list()) == 1 && g.nodes.list()[0].cfg().Name == "" {
		return fmt.Sprintf("%d targets", targets)
	}
	return fmt.Sprintf("%d targets on %d nodes, %d of them connected", targets, len(g.nodes.list()), up)
}
