package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

var logf = log.Printf

// plant puts a proxy before a gateway that answers every tenth get of a key as the one before it: the cache that
// somebody might think is no harm.
func plant(gateway string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &stale{seen: map[string]*http.Response{}, bodies: map[string][]byte{}}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: gateway})
			r.Out.Host = r.In.Host // it is part of the signature
		},
		ModifyResponse: s.answer,
	}
	go func() { _ = http.Serve(l, p) }() //nolint:gosec // of a test, until it ends
	return l.Addr().String(), nil
}

type stale struct {
	mu     sync.Mutex
	n      int
	seen   map[string]*http.Response
	bodies map[string][]byte
}

func (s *stale) answer(r *http.Response) error {
	if r.Request.Method != http.MethodGet || !strings.Contains(r.Request.URL.Path, "/r0") || r.Request.Header.Get("Range") != "" {
		return nil
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.Request.URL.Path
	old := s.seen[path]
	if s.n++; s.n%10 == 0 && old != nil {
		r.Status, r.StatusCode, r.Header, r.ContentLength = old.Status, old.StatusCode, old.Header.Clone(), old.ContentLength
		r.Body = io.NopCloser(bytes.NewReader(s.bodies[path]))
		return nil
	}
	s.seen[path], s.bodies[path] = r, b
	return nil
}
