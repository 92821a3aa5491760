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
			work.Go(func() { g.balance(ctx) })
			g.store.Maintain(ctx, o)
			work.Wait()
		})
	})
}

// balanceEvery is how often the metadata clusters are told what the others count for
// quotas of accounts.
const balanceEvery = 5 * time.Second

// balance does that. With one cluster there is nothing to do.
func (g *Gateway) balance(ctx context.Context) {
	if len(g.parts.Meta.Clusters) < 2 {
		return
	}
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := g.parts.Meta.DB.BalanceQuotas(ctx); err != nil && ctx.Err() == nil {
			g.log.Debug("quotas of accounts are not balanced among the metadata clusters", "err", err)
		}
	}
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
