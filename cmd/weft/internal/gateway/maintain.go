package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/lifecycle"
	"github.com/weftstore/weft/store"
)

// maintain does the background work: always when the gateway is alone, else while it
// leads.
func (g *Gateway) maintain(o store.MaintenanceOptions) {
	m := g.parts.Member
	if m == nil {
		g.store.StartMaintenance(o)
		g.background(g.lifecycle().Run)
		return
	}
	m.Answer(g.store.Report)
	g.background(func(ctx context.Context) {
		m.Lead(ctx, func(ctx context.Context) {
			var work sync.WaitGroup
			work.Go(func() { g.lifecycle().Run(ctx) })
			g.store.Maintain(ctx, o)
			work.Wait()
		})
	})
}

// background runs work until the gateway closes.
func (g *Gateway) background(work func(ctx context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	g.onClose(func() error {
		stop()
		<-done
		return nil
	})
}

// lifecycle makes the worker that applies the rules of buckets.
func (g *Gateway) lifecycle() *lifecycle.Worker {
	return &lifecycle.Worker{Meta: g.parts.Meta.DB, Day: time.Duration(g.cfg.LifecycleDay), Log: g.log}
}
