package member

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/weftstore/weft/metadata/etcdkv"
)

// Connect opens the metadata of a deployment at an etcd:// URL, and tells the prefix of
// its keys: without one in the URL it is /weft/DEPLOYMENT/. It waits for etcd until ctx
// ends, if it has a deadline.
func Connect(ctx context.Context, url string, deployment [16]byte) (kv *etcdkv.DB, prefix string, err error) {
	cfg, err := etcdkv.ParseURL(url)
	if err != nil {
		return nil, "", err
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "/weft/" + hex.EncodeToString(deployment[:]) + "/"
	}
	if deadline, ok := ctx.Deadline(); ok {
		cfg.DialTimeout = time.Until(deadline)
	}
	kv, err = etcdkv.Open(ctx, cfg)
	return kv, cfg.Prefix, err
}

// Persist does something at the start of a process again and again while etcd does not
// answer, until ctx ends. A process that begins while etcd elects a leader waits for it.
func Persist(ctx context.Context, log *slog.Logger, do func(ctx context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !etcdkv.Passing(err) {
			return err
		}
		log.Warn("etcd does not answer; trying again", "err", err)
		select {
		case <-time.After(persistEvery):
		case <-ctx.Done():
			return err
		}
	}
}

const persistEvery = 200 * time.Millisecond
