package bench

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/fabric"
	"github.com/weftstore/weft/rdma"
)

// Server answers pings and moves bytes.
type Server struct {
	wires func() []rdma.Counted
	look  func() *fabric.Host
	root  string // of sysfs
	runs  chan struct{}
}

// NewServer makes one that tells of these wires' counters, and of the devices of this
// host.
func NewServer(wires func() []rdma.Counted) *Server {
	look := func() *fabric.Host { return fabric.Look(fabric.LocalSource()) }
	return &Server{wires: wires, look: look, root: "/", runs: make(chan struct{}, MaxRuns)}
}

// Handler is for rdma.Transport.Serve.
func (s *Server) Handler() rdma.Handler { return s.handle }

// Prompt is for rdma.Options: echoes wait for nothing.
func Prompt(req []byte) bool {
	op, _, ok := known(req)
	return ok && op == opPing
}

func (s *Server) handle(ctx context.Context, p rdma.Peer, req, rep []byte) int {
	op, _, ok := known(req)
	switch {
	case ok && op == opPing:
		return copy(rep, req)
	case ok && op == opRun:
		var r run
		err := r.decode(req)
		if err != nil {
			return refuse(rep, op, err)
		}
		m, err := s.run(ctx, p, &r)
		if err != nil {
			return refuse(rep, op, err)
		}
		return m.encode(rep)
	case ok && op == opCounters:
		return s.counters(rep)
	case ok && op == opRails:
		return reply(rep, op, fabric.Rails(s.look()))
	}
	return refuse(rep, op, errors.New("unknown request"))
}

// run keeps depth transfers under way until the time is over or all are done.
func (s *Server) run(ctx context.Context, p rdma.Peer, r *run) (*moved, error) {
	select {
	case s.runs <- struct{}{}:
		defer func() { <-s.runs }()
	default:
		return nil, fmt.Errorf("%d runs are under way: try later", MaxRuns)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var started, done, mismatches atomic.Uint64
	var over atomic.Bool
	begin := time.Now()
	limit := r.time
	if r.transfers > 0 {
		limit = MaxTime
	}
	timer := time.AfterFunc(limit, func() { over.Store(true) })
	defer timer.Stop()
	var slots sync.WaitGroup
	for i := range r.depth {
		slots.Go(func() {
			at, n := r.slot(i), uint64(0)
			fill := func(b []byte) error { stamp(b, r.stamp(i, n)); return nil }
			use := func(b []byte) error {
				if v, ok := stamped(b); !ok || v != r.stamp(i, 0) {
					mismatches.Add(1)
				}
				return nil
			}
			for !over.Load() && (r.transfers == 0 || started.Add(1) <= r.transfers) {
				var err error
				if n++; r.verb == Push {
					err = p.Push(ctx, at, fill)
				} else {
					err = p.Pull(ctx, at, use)
				}
				if err != nil {
					stop(err)
					return
				}
				done.Add(1)
			}
		})
	}
	slots.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", r.verb, err)
	}
	n := done.Load()
	return &moved{transfers: n, bytes: n * uint64(r.block), time: time.Since(begin), mismatches: mismatches.Load()}, nil
}

func (s *Server) counters(rep []byte) int {
	all := Counters(s.wires(), s.root)
	for name, v := range all {
		if v == 0 {
			delete(all, name)
		}
	}
	return reply(rep, opCounters, all)
}

// Counters are those of wires ("verbs PushedBytes") and of the devices of the host
// whose sysfs is below root ("rxe0/1 sent_pkts").
func Counters(wires []rdma.Counted, root string) fabric.Counters {
	out := fabric.ReadCounters(root)
	for _, w := range wires {
		stats := reflect.ValueOf(w.Stats())
		for i := range stats.NumField() {
			if f := stats.Field(i); f.Kind() == reflect.Uint64 {
				out[w.Name()+" "+stats.Type().Field(i).Name] = f.Uint()
			}
		}
	}
	return out
}
