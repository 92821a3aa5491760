package rdma

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// MinSecret is the least length of a shared secret in bytes.
const MinSecret = 32

// Options are those of the transports between processes. The zero value of a
// field is its default, except Secret.
type Options struct {
	// Secret is what both ends prove to have; at least MinSecret bytes.
	Secret []byte
	// Lanes is how many connections a Dial makes, 1 to 64; 2.
	Lanes int
	// Slots is how many calls a server takes at once on one lane, 1 to 1024; 32.
	Slots int
	// Staging is the memory in bytes that Pull and Push lend to handlers, at least
	// two MaxBulk; 64 MiB. Transfers wait for it in turn.
	Staging int
	// Grace is how long a call that is over waits for the other end to let go of
	// its memory before it breaks the lane; 1 s.
	Grace time.Duration
	// KeepAlive is how long a lane is silent before a sign of life is sent. A lane
	// on which nothing came for three times as long is given up; 5 s.
	KeepAlive time.Duration
	// DialTimeout bounds the making of one lane; 2 s.
	DialTimeout time.Duration
	// SpinFor is how long an end polls for what it waits for before it sleeps (verbs);
	// 20 us. Negative: never.
	SpinFor time.Duration
	// Prompt says of a request that its handler waits for nothing, transfers included:
	// no lock that is held for long, no file, no other peer. The goroutine that receives
	// runs it, which spares a change of threads, and receives nothing meanwhile. nil is
	// never. Only for servers.
	Prompt func(req []byte) bool
	// TLS encrypts (tcp). Both ends must agree.
	TLS bool
	// HugePages asks for registered memory in huge pages. Where there are none left
	// it is taken from ordinary ones, with a warning.
	HugePages bool
	// Logger gets what operators should know; nil is silence.
	Logger *slog.Logger
}

// Complete fills in the defaults. The error lists all that is out of range.
func (o Options) Complete() (Options, error) {
	var errs []error
	number := func(name string, p *int, def, least, most int) {
		if *p == 0 {
			*p = def
		}
		if *p < least || *p > most {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d", name, *p, least, most))
		}
	}
	span := func(name string, p *time.Duration, def time.Duration) {
		if *p == 0 {
			*p = def
		}
		if *p < 0 {
			errs = append(errs, fmt.Errorf("%s is %v, want more than 0", name, *p))
		}
	}
	if len(o.Secret) < MinSecret {
		errs = append(errs, fmt.Errorf("secret of %d bytes, want at least %d", len(o.Secret), MinSecret))
	}
	number("lanes", &o.Lanes, 2, 1, 64)
	number("slots", &o.Slots, 32, 1, 1024)
	number("staging memory", &o.Staging, 64<<20, 2*MaxBulk, 1<<40)
	span("grace", &o.Grace, time.Second)
	span("keep-alive", &o.KeepAlive, 5*time.Second)
	span("dial timeout", &o.DialTimeout, 2*time.Second)
	if o.SpinFor == 0 {
		o.SpinFor = 20 * time.Microsecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, errors.Join(errs...)
}
