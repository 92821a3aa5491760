package s3api

import "github.com/weftstore/weft/s3api/fair"

// turn is a request's part in what tenants have in common.
type turn struct {
	ticket fair.Ticket
	bounds [2]fair.Bound // of the account and of the access key
	metred bool          // one of them bounds bandwidth
}

// enter waits until the tenant may have another request at work. Requests that are not
// signed are those of one tenant of their own.
func (c *call) enter() error {
	who := c.who()
	s := &c.turn
	if m := c.h.cfg.Meter; m != nil && (who.Limits != fair.Rates{} || who.KeyLimits != fair.Rates{}) {
		s.bounds = [2]fair.Bound{{Name: "account " + who.Account, Rates: who.Limits}, {Name: "key " + who.Key, Rates: who.KeyLimits}}
		s.metred = who.Limits.Bandwidth > 0 || who.KeyLimits.Bandwidth > 0
		if err := m.Request(c.ctx, s.bounds[:]...); err != nil {
			return err
		}
	}
	if g := c.h.cfg.Gate; g != nil {
		if err := g.Enter(c.ctx, &s.ticket, who.Account, who.Weight); err != nil {
			return err
		}
	}
	return nil
}

// moved counts bytes of a body, and waits when the tenant has had its share.
func (c *call) moved(n int) error {
	if c.turn.metred {
		if err := c.h.cfg.Meter.Bytes(c.ctx, n, c.turn.bounds[:]...); err != nil {
			return err
		}
	}
	return c.turn.ticket.Moved(c.ctx, n)
}
