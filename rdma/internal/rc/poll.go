package rc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/rdma/internal/verbs"
	"github.com/weftstore/weft/rdma/internal/wire"
)

const (
	// batch is how many completions are taken at once.
	batch = 32
	// spinStep is how long one call into C polls. Longer ones make Go's scheduler take
	// the processor away and start threads, which costs more than what is waited for.
	spinStep = 5 * time.Microsecond
	// spinTrial is which of so many calls polls although polling did not pay lately.
	spinTrial = 4
	// spinCredit is how many vain polls a successful one makes up for.
	spinCredit = 64
)

// poller takes completions. One goroutine at a time does, the one that has turn.
type poller struct {
	l       *lane
	spinFor time.Duration
	awaited atomic.Int64 // answers that this end waits for (calling end)
	pings   atomic.Int64 // those of them that are pongs
	turn    atomic.Bool
	flushes atomic.Bool // the lane breaks: poll until the queue is closed
	luck    atomic.Int32
	trial   atomic.Uint64
	polling sync.WaitGroup
	out     [batch]verbs.Completion // of the one who has turn
	works   []wire.Work             // and this
}

func (p *poller) init(l *lane) {
	p.l = l
	p.spinFor = max(l.n.cfg.SpinFor, 0)
	p.luck.Store(spinCredit)
}

// take handles completions.
func (p *poller) take(n int) {
	for i := range p.out[:n] {
		c := &p.out[i]
		if c.ID&recvID == 0 {
			p.l.send.completed(c.ID, c.Status)
			continue
		}
		if c.Status != verbs.Success {
			p.l.fail(c.Status)
			continue
		}
		if c.Op == verbs.WCRecvImm { // the length is that of the WRITE, and the buffer has an old message
			p.l.fail(errors.New("the other end wrote with immediate data"))
			continue
		}
		r := &p.l.recvs[c.ID&^recvID]
		work, again := p.l.received(r, int(c.Bytes))
		if again {
			r.post()
		}
		if work != nil {
			p.works = append(p.works, work)
		}
	}
}

// next waits for completions on the channel and handles them; false when the queue is closed.
func (p *poller) next() bool {
	n, err := p.l.cq.Wait(context.Background(), p.out[:])
	if err != nil && !errors.Is(err, verbs.ErrClosed) {
		p.l.fail(err)
		return !p.flushes.Load() // a broken queue gives nothing any more
	}
	p.take(n)
	return err == nil
}

// worth says whether polling is likely to pay.
func (p *poller) worth() bool {
	return p.spinFor > 0 && (p.luck.Load() > 0 || p.trial.Add(1)%spinTrial == 0)
}

// paid notes whether it has.
func (p *poller) paid(yes bool) {
	if yes {
		p.luck.Store(spinCredit)
	} else if p.luck.Load() > 0 {
		p.luck.Add(-1)
	}
}

// serve begins to poll for good, at the answering end.
func (p *poller) serve() {
	if p.turn.CompareAndSwap(false, true) {
		p.polling.Add(1)
		go p.lead()
	}
}

// lead polls until there is work, lets another lead, and works.
func (p *poller) lead() {
	for {
		n := 0
		if p.worth() {
			for begin := time.Now(); n == 0 && time.Since(begin) < p.spinFor; {
				n, _ = p.l.cq.Poll(p.out[:], min(p.spinFor, spinStep)) // an error comes again from Wait
			}
			p.paid(n > 0)
			p.take(n)
		}
		if n == 0 && !p.next() {
			p.works = nil
			p.polling.Done()
			return
		}
		if len(p.works) > 0 {
			break
		}
	}
	works := p.works
	p.works = nil
	go p.lead()
	for _, w := range works[1:] {
		go w.Run()
	}
	works[0].Run()
}

// spin polls until done, for a short time, and leaves it to a goroutine then.
func (p *poller) spin(done func() bool) {
	if done() || !p.turn.CompareAndSwap(false, true) {
		return
	}
	p.polling.Add(1)
	defer p.polling.Done()
	if p.worth() {
		begin := time.Now()
		for !done() && time.Since(begin) < p.spinFor {
			n, err := p.l.cq.Poll(p.out[:], spinStep)
			if err != nil {
				break
			}
			p.take(n)
			p.start()
		}
		p.paid(done())
	}
	if p.needed() {
		p.polling.Add(1)
		go p.follow()
		return
	}
	p.leave()
}

// needed says whether somebody must poll.
func (p *poller) needed() bool { return p.awaited.Load() > 0 || p.flushes.Load() }

// leave gives up the turn, and takes care that somebody polls if that is needed again.
func (p *poller) leave() {
	p.turn.Store(false)
	if p.needed() {
		p.kick()
	}
}

// kick makes a goroutine poll if nobody does.
func (p *poller) kick() {
	if p.turn.CompareAndSwap(false, true) {
		p.polling.Add(1)
		go p.follow()
	}
}

// follow polls as long as something is awaited, at the calling end.
func (p *poller) follow() {
	defer p.polling.Done()
	for p.needed() {
		if !p.next() {
			return // with the turn: there is nothing to poll any more
		}
		p.start()
	}
	p.leave()
}

// start runs works in goroutines of their own.
func (p *poller) start() {
	for _, w := range p.works {
		go w.Run()
	}
	p.works = p.works[:0]
}

// flush makes sure that somebody polls until the queue is closed.
func (p *poller) flush() {
	p.flushes.Store(true)
	p.kick()
}

// wait returns when nobody polls any more. The queue is closed.
func (p *poller) wait() { p.polling.Wait() }
