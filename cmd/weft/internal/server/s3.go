package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/sigv4"
)

// s3Server is the S3 front end.
func (s *Server) s3Server() (*http.Server, error) {
	h, err := s3api.New(s3api.Config{
		Auth:    &sigv4.Verifier{Region: s.cfg.Region, Lookup: s.lookup},
		Buckets: s.meta, Versions: s.meta, Listings: s.meta, Uploads: s.meta,
		Objects: s3api.FromStore(s.store),
		Region:  s.cfg.Region,
		Domains: s.cfg.Domains,
		Ready:   s.ready,
		Logger:  s.log,
		Events: s3api.Events{Access: func(a s3api.Access) {
			if a.Status >= http.StatusInternalServerError && a.Status != http.StatusNotImplemented && a.Err != nil {
				s.log.Error("request failed", "id", a.RequestID, "op", a.Operation, "bucket", a.Bucket, "key", a.Key,
					"status", a.Status, "code", a.Code, "err", a.Err)
			}
		}},
	})
	if err != nil {
		return nil, err
	}
	return s3api.NewServer(h), nil
}

func (s *Server) lookup(_ context.Context, accessKey string) (string, bool) {
	return s.creds.secret, accessKey == s.creds.access
}

// ready says whether writes can be acknowledged.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	all, err := s.client.Status(ctx)
	if err != nil {
		return err
	}
	online := 0
	for _, t := range all {
		if t.State == node.Online {
			online++
		}
	}
	// Writes go on with any M targets away.
	if need := min(s.layout.WriteQuorum(), max(1, len(all)-int(s.layout.M))); online < need {
		return fmt.Errorf("%d targets online, %d needed to write", online, need)
	}
	return nil
}

const readyWithin = 2 * time.Second

// Describe tells the operator where the server is, what it survives and what to
// try. The secret key is not in it.
func (s *Server) Describe(w io.Writer) {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	url := scheme + "://" + s.Addr()
	if host, port, err := net.SplitHostPort(s.Addr()); err == nil && net.ParseIP(host).IsUnspecified() {
		url = scheme + "://" + net.JoinHostPort("127.0.0.1", port)
	}
	fmt.Fprintf(w, "Weft serves S3 at %s from %d targets\n", url, len(s.cfg.Targets))
	switch n := s.layout.M; {
	case n == 0:
		fmt.Fprintf(w, "Layout %s: NO REDUNDANCY. The loss of any target loses objects, unless the\nfile system beneath protects them. With 4 directories or more, any 2 may be lost.\n", s.layout)
	case n == 1:
		fmt.Fprintf(w, "Layout %s: survives the loss of any one target\n", s.layout)
	default:
		fmt.Fprintf(w, "Layout %s: survives the loss of any %d targets\n", s.layout, n)
	}
	fmt.Fprintf(w, "State in %s\n\nTry:\n", s.cfg.State)
	if s.creds.file != "" {
		fmt.Fprintf(w, "  export AWS_SHARED_CREDENTIALS_FILE=%s AWS_DEFAULT_REGION=%s\n", filepath.Clean(s.creds.file), s.cfg.Region)
	} else {
		fmt.Fprintf(w, "  export AWS_ACCESS_KEY_ID=$%s AWS_SECRET_ACCESS_KEY=$%s AWS_DEFAULT_REGION=%s\n", "WEFT_ROOT_ACCESS_KEY", "WEFT_ROOT_SECRET_KEY", s.cfg.Region)
	}
	fmt.Fprintf(w, "  aws --endpoint-url %s s3 mb s3://demo\n  aws --endpoint-url %s s3 cp FILE s3://demo/\n  weft admin status --state %s\n", url, url, s.cfg.State)
}
