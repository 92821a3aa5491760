package store

import (
	"context"
	"fmt"

	"github.com/weftstore/weft/metadata"
)

// Peers are the other processes that read and write the same targets by the same
// metadata. Package member is one. Safe for concurrent use.
type Peers interface {
	// Term names the time since which this process is a member without a break; 0: it
	// is none now. Terms are never given out twice.
	Term() int64
	// Within makes commits of metadata with the context fail with metadata.ErrFenced
	// once the term is over: nobody waits for what was begun in it any more.
	Within(ctx context.Context, term int64) context.Context
	// Ask waits for Report of every other member, each made after Ask was called.
	Ask(ctx context.Context) (*PeerReport, error)
}

// PeerReport is what all others together are doing.
type PeerReport struct {
	Busy    map[metadata.SetID]bool
	Changes string // another one when somebody changed the metadata
	Clock   int64  // the one that is most behind, Unix nanoseconds; 0: there is nobody
}

// Report is what this process tells the others: the chunk sets that it reads or
// writes, metadata.DB.Changes, and what its clock says in Unix nanoseconds. What it opens
// later it opens as the metadata is later, so that it cannot meet what is garbage now.
func (s *Store) Report() (busy []metadata.SetID, changes uint64, clock int64) {
	s.pins.barrier()
	return s.pins.list(), s.meta.Changes(), s.now().UnixNano()
}

// inUse tells which chunk sets anybody reads or writes. A set that is garbage, or that
// nothing refers to, before the call and not in use after it, is never used again.
func (s *Store) inUse(ctx context.Context) (func(metadata.SetID) bool, error) {
	s.pins.barrier() // who opened one before it became garbage has pinned it now
	if s.cfg.Peers == nil {
		return s.pins.pinned, nil
	}
	r, err := s.cfg.Peers.Ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("what other gateways use: %w", err)
	}
	return func(set metadata.SetID) bool { return r.Busy[set] || s.pins.pinned(set) }, nil
}

// term begins something that ends in a commit.
func (s *Store) term() (int64, error) {
	if s.cfg.Peers == nil {
		return 0, nil
	}
	term := s.cfg.Peers.Term()
	if term == 0 {
		return 0, fmt.Errorf("this gateway has no contact to the cluster's etcd: %w", ErrUnavailable)
	}
	return term, nil
}

// within is the context of a commit of what was begun in a term.
func (s *Store) within(ctx context.Context, term int64) context.Context {
	if s.cfg.Peers == nil {
		return ctx
	}
	return s.cfg.Peers.Within(ctx, term)
}

// commitContext is within for a commit that goes on when its client is gone.
func (s *Store) commitContext(ctx context.Context, term int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.within(context.WithoutCancel(ctx), term), commitTimeout)
}

// know makes sure that the targets of a part are known: another gateway may have been
// the first to see one.
func (s *Store) know(ctx context.Context, p *metadata.Part) {
	if s.cfg.Refresh == nil {
		return
	}
	for _, id := range p.Targets {
		if id != 0 && s.target(id) == nil {
			if err := s.cfg.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("targets not read from the metadata", "error", err)
			}
			return
		}
	}
}
