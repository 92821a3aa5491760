package member

import (
	"context"
	"encoding/hex"

	"github.com/weftstore/weft/metadata/etcdkv"
)

// Connect opens the metadata of a deployment at an etcd:// URL, and tells the prefix of
// its keys: without one in the URL it is /weft/DEPLOYMENT/.
func Connect(ctx context.Context, url string, deployment [16]byte) (kv *etcdkv.DB, prefix string, err error) {
	cfg, err := etcdkv.ParseURL(url)
	if err != nil {
		return nil, "", err
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "/weft/" + hex.EncodeToString(deployment[:]) + "/"
	}
	kv, err = etcdkv.Open(ctx, cfg)
	return kv, cfg.Prefix, err
}
