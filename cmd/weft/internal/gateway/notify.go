package gateway

import (
	"context"
	"errors"
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
	senders, err := openSenders(g.cfg.Notify)
	if err != nil {
		return err
	}
	g.notifier = notify.New(g.parts.Meta.DB, senders, g.log)
	g.parts.Meta.DB.SetOutbox(g.notifier.Outbox)
	g.onClose(g.notifier.Close)
	g.background(g.notifier.Count)
	return nil
}

// openSenders makes destinations of NAME=URL.
func openSenders(list []string) (map[string]notify.Sender, error) {
	senders := map[string]notify.Sender{}
	for _, s := range list {
		name, address, _ := strings.Cut(s, "=")
		to, err := notify.Open(address)
		if err == nil && senders[name] != nil {
			err = errors.Join(errors.New("it is named twice"), to.Close())
		}
		if err != nil {
			closeSenders(senders)
			return nil, fmt.Errorf("--notify %s: %w", name, err)
		}
		senders[name] = to
	}
	return senders, nil
}

func closeSenders(senders map[string]notify.Sender) {
	for _, s := range senders {
		_ = s.Close() // nothing was sent
	}
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
