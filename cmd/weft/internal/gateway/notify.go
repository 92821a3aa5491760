package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/weftstore/weft/notify"
	"github.com/weftstore/weft/s3api"
)

// openNotify makes the destinations of events the metadata's outbox, before anything
// changes. Events are delivered by who does the work in the background.
func (g *Gateway) openNotify(context.Context) error {
	if len(g.cfg.Notify) == 0 {
		return nil
	}
	senders := map[string]notify.Sender{}
	for _, s := range g.cfg.Notify {
		name, address, _ := strings.Cut(s, "=")
		to, err := notify.Open(address)
		if err == nil && senders[name] != nil {
			err = fmt.Errorf("it is named twice")
		}
		if err != nil {
			for _, open := range senders {
				_ = open.Close() // nothing was sent
			}
			return fmt.Errorf("--notify %s: %w", name, err)
		}
		senders[name] = to
	}
	g.notifier = notify.New(g.parts.Meta.DB, senders, g.log)
	g.parts.Meta.DB.SetOutbox(g.notifier.Outbox)
	g.onClose(g.notifier.Close)
	g.background(g.notifier.Count)
	return nil
}

// deliver sends events until ctx ends.
func (g *Gateway) deliver(ctx context.Context) {
	if g.notifier != nil {
		g.notifier.Run(ctx)
	}
}

// notifications is g.notifier as s3api wants it: nil when there is none.
func (g *Gateway) notifications() s3api.Notifications {
	if g.notifier == nil {
		return nil
	}
	return g.notifier
}
