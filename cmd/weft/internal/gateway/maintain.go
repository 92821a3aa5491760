package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/lifecycle"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/notify"
	"github.com/weftstore/weft/store"
)

// maintain does the background work: always when the gateway is alone, else while it
// leads.
func (g *Gateway) maintain(o store.MaintenanceOptions) {
	m := g.parts.Member
	if m == nil {
		g.store.StartMaintenance(o)
		g.background(g.expire)
		g.background(g.deliver)
		return
	}
	m.Answer(g.store.Report)
	g.background(func(ctx context.Context) {
		m.Lead(ctx, func(ctx context.Context) {
			var work sync.WaitGroup
			work.Go(func() { g.expire(ctx) })
			work.Go(func() { g.deliver(ctx) })
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

// expire applies the rules of buckets. What it does is told as the rules'.
func (g *Gateway) expire(ctx context.Context) {
	g.lifecycle().Run(metadata.WithOrigin(ctx, &notify.Origin{Operation: notify.Lifecycle, HostID: "weft", Region: g.cfg.Region}))
}

// lifecycle makes the worker that applies the rules of buckets.
func (g *Gateway) lifecycle() *lifecycle.Worker {
	return &lifecycle.Worker{Meta: g.parts.Meta.DB, Day: time.Duration(g.cfg.LifecycleDay), Log: g.log}
}
