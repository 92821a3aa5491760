package gateway

import (
	"context"
	"errors"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/store"
)

// quota sets one, or lists all.
func (g *Gateway) quota(ctx context.Context, a adminsock.Args, _ store.Report) (any, error) {
	db := g.parts.Meta.DB
	if a.Quota == nil || a.Quota.QuotaOf == (metadata.QuotaOf{}) {
		list, err := db.Quotas(ctx)
		if list == nil {
			list = []metadata.QuotaState{}
		}
		return list, err
	}
	of := a.Quota.QuotaOf
	if of.Account != "" {
		var err error
		if of.Account, err = g.account(ctx, of.Account); err != nil {
			return nil, err
		}
		if of.Account == s3api.RootAccount {
			return nil, errors.New("the root account has no quota: set those of its buckets")
		}
	}
	return done, db.SetQuota(ctx, of, a.Quota.Limit)
}
