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
// starts level with the others but for a small credit, which carries those whose few
// clients all stand idle at times; it has no claim for more that it did not use.
//
// A request that moves many bytes is asked to queue again after each [Slice], so that
// long transfers share like short ones; and a place that is held for longer than [Hold],
// as by a client that reads slowly, is given to somebody else meanwhile. So a place means
// work, and clients that stand still cannot take all of them.
//
// # Rounds
//
// A request that never blocks, such as a small read from the page cache, runs from its
// place's beginning to its end without another goroutine coming between. Places would
// always be free then, and the queue would be the scheduler's, which is first come, first
// served: 256 connections get 16 times what 16 get. So while several tenants contend,
// requests are let in by small rounds, and the next round waits until the runtime has
// looked at the network, which it does when no goroutine can run: by then every request
// that has arrived stands in the gate's queue. [Gate.KeepRounds] notices that moment by a
// pipe: the last request of a round writes to it, and the runtime reports the pipe along
// with the connections that have become readable.
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
	// credit is the time in places by which a tenant that was away is ahead when it is back.
	credit = 500 * time.Millisecond
	// recent is how long a tenant without requests still counts as one of several.
	recent = time.Second
	// maxTenants bounds what is remembered.
	maxTenants = 4096
)

// ErrRate is returned when a tenant asks for more than its rate, or has too many requests waiting.
var ErrRate = errors.New("more requests than the tenant may have")
