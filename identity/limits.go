package identity

import (
	"context"
	"fmt"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/fair"
)

// Bounds of limits.
const (
	// MinBandwidth is the least that a limit may be: with less no request would end.
	MinBandwidth = 64 << 10
	maxWeight    = 1000
)

func checkLimits(l fair.Rates) error {
	if l.Requests < 0 || l.Bandwidth < 0 || l.Bandwidth > 0 && l.Bandwidth < MinBandwidth {
		return fmt.Errorf("limits of %g requests and %g bytes a second: 0 is none, and the least bandwidth is %d: %w", l.Requests, l.Bandwidth, MinBandwidth, ErrInvalid)
	}
	return nil
}

// SetLimits bounds what an account may use at each gateway. Weight 0 is 1.
func (g *Registry) SetLimits(ctx context.Context, account string, l fair.Rates, weight float64) error {
	if err := checkLimits(l); err != nil {
		return err
	}
	if weight < 0 || weight > maxWeight {
		return fmt.Errorf("weight %g: want more than 0 and at most %d: %w", weight, maxWeight, ErrInvalid)
	}
	if account == s3api.RootAccount {
		return fmt.Errorf("the root account has no limits: give its users keys with some: %w", ErrInvalid)
	}
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindAccount, "", account, func(a *Account) error {
			a.Limits, a.Weight = l, weight
			return nil
		})
	})
}

// SetKeyLimits bounds what an access key may use, and the sessions made with it together.
func (g *Registry) SetKeyLimits(ctx context.Context, id string, l fair.Rates) error {
	if err := checkLimits(l); err != nil {
		return err
	}
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return editRecord(w, kindKey, "", id, func(k *Key) error {
			k.Limits = l
			return nil
		})
	})
}
