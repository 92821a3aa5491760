package wire

import (
	"sync/atomic"

	"github.com/weftstore/weft/rdma"
)

// Counters of one wire. Package network counts calls, transfers and lanes; the
// wire counts AuthFailures, and the bytes that peers move in this end's memory
// where it sees them.
type Counters struct {
	Calls, CallErrors        atomic.Uint64
	CallsInFlight            atomic.Int64
	Pulls, Pushes            atomic.Uint64
	PulledBytes, PushedBytes atomic.Uint64
	TransferErrors           atomic.Uint64
	Connections, Listeners   atomic.Int64
	Redials, AuthFailures    atomic.Uint64
	CreditsWaiting           atomic.Int64
	CreditWaits              atomic.Uint64
	KeepAliveKills           atomic.Uint64
}

// Stats are the counters as they are now.
func (c *Counters) Stats() rdma.Stats {
	return rdma.Stats{
		Calls: c.Calls.Load(), CallErrors: c.CallErrors.Load(), CallsInFlight: c.CallsInFlight.Load(),
		Pulls: c.Pulls.Load(), Pushes: c.Pushes.Load(),
		PulledBytes: c.PulledBytes.Load(), PushedBytes: c.PushedBytes.Load(),
		TransferErrors: c.TransferErrors.Load(),
		Connections:    c.Connections.Load(), Listeners: c.Listeners.Load(),
		Redials: c.Redials.Load(), AuthFailures: c.AuthFailures.Load(),
		CreditsWaiting: c.CreditsWaiting.Load(), CreditWaits: c.CreditWaits.Load(),
		KeepAliveKills: c.KeepAliveKills.Load(),
	}
}
