package etcdkv

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata/etcdkv/etcdtest"
)

// server is an etcd process with DBs on it.
type server struct {
	*etcdtest.Server
	prefixes atomic.Int64
}

func startEtcd(t testing.TB, scheme string, extra ...string) *server {
	t.Helper()
	return &server{Server: etcdtest.Start(t, scheme, extra...)}
}

// open makes a DB on an empty prefix.
func (s *server) open(t testing.TB) *DB {
	cfg := Config{Endpoints: []string{s.Addr}, Prefix: fmt.Sprintf("/%s/%d/", t.Name(), s.prefixes.Add(1))}
	return s.openWith(t, cfg)
}

func (s *server) openWith(t testing.TB, cfg Config) *DB {
	t.Helper()
	cfg = patient(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// patient sets the limits of time that cfg has not: a test does not fail because a machine is slow.
func patient(cfg Config) Config {
	for _, limit := range []*time.Duration{&cfg.DialTimeout, &cfg.RequestTimeout, &cfg.ResolveTimeout, &cfg.Patience} {
		*limit = orDefault(*limit, time.Minute)
	}
	return cfg
}

// eventually does again what failed, for a minute.
func eventually(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
