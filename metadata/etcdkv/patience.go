package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/metadata"
)

// errDown is for requests that were not sent, as etcd has not answered for a while.
var errDown = fmt.Errorf("etcd has not answered for a while: %w", metadata.ErrUnavailable)

// health knows since when etcd does not answer. Then one request at a time finds out
// whether it does again, and the others fail at once, so that those who ask for what is in
// this cluster do not take the place of those who do not.
type health struct {
	patience time.Duration
	mu       sync.Mutex
	since    time.Time // of the first request that failed since one succeeded
	probing  bool
}

func (h *health) failing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.since.IsZero()
}

// enter says whether a request is to be sent.
func (h *health) enter() (probe bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || time.Since(h.since) < h.patience {
		return false, nil
	}
	if h.probing {
		return false, errDown
	}
	h.probing = true
	return true, nil
}

// leave says what became of it. A client that went away tells nothing.
func (h *health) leave(probe bool, err error, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if probe {
		h.probing = false
	}
	switch {
	case err == nil || !Passing(err) && !gone:
		h.since = time.Time{}
	case h.since.IsZero() && !gone:
		h.since = time.Now()
	}
}

// do sends one request. A read may be sent again by the client; a write is not.
func (d *DB) do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	probe, err := d.health.enter()
	if err != nil {
		return clientv3.OpResponse{}, err
	}
	d.stats.requests.Add(1)
	rctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	resp, err := d.client.Do(rctx, op)
	d.health.leave(probe, err, ctx.Err() != nil)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return resp, err
}

// patiently repeats a request that may be sent twice while etcd does not answer.
func (d *DB) patiently(ctx context.Context, send func() error) error {
	var end time.Time
	for try := 1; ; try++ {
		err := send()
		if err == nil || !Passing(err) || errors.Is(err, errDown) || ctx.Err() != nil || d.closed.Load() {
			return err
		}
		if end.IsZero() {
			end = time.Now().Add(d.health.patience)
		}
		if time.Now().After(end) || backoff(ctx, try) != nil {
			return err
		}
	}
}
