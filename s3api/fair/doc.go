// Package fair shares a gateway among tenants: it says when a request may work, so that
// one tenant's flood leaves the others their share, and keeps tenants within the rates
// that an operator has set.
//
// # Shares
//
// [Gate] is start-time fair queueing over places for requests at work. While a single
// tenant is there nobody waits. Once there are two or more, at most Places requests work
// at once, and a place that becomes free goes to the waiting request whose tenant has had
// the least time in places, divided by its weight. A tenant that comes back after a pause
// starts level with the others: it has no claim for what it did not use.
//
// A request that moves many bytes is asked to queue again after each [Slice], so that
// long transfers share like short ones; and a place that is held for longer than [Hold],
// as by a client that reads slowly, is given to somebody else meanwhile. So a place means
// work, and clients that stand still cannot take all of them.
//
// # Rates
//
// A [Rate] is a token bucket of a second's worth. A request that comes too early waits;
// when it would have to wait for longer than [MaxWait] it is refused with [ErrRate]. Bytes
// are paid for after they were moved, and the next ones wait.
//
// All types are safe for concurrent use but Ticket, which belongs to a request.
package fair

import (
	"errors"
	"time"
)

// Sizes and times.
const (
	Slice   = 4 << 20
	Hold    = 500 * time.Millisecond
	MaxWait = 5 * time.Second
	// recent is how long a tenant without requests still counts as one of several.
	recent = time.Second
	// maxTenants bounds what is remembered.
	maxTenants = 4096
)

// ErrRate is returned when a tenant asks for more than its rate, or has too many requests waiting.
var ErrRate = errors.New("more requests than the tenant may have")
