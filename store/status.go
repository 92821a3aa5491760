package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
)

// Status of a store, for people and for monitoring.
type Status struct {
	Layout     string `json:"layout"`
	Survives   int    `json:"survives"`   // targets that may be lost
	Redundancy string `json:"redundancy"` // "full", "repairing: N parts", "degraded: ..." or "unknown: ..."

	Targets []TargetState `json:"targets"`

	// Sizes of the queues, counted up to a limit; More says that it was reached.
	DamagedSets int64 `json:"damaged_sets"`
	GarbageSets int64 `json:"garbage_sets"`
	More        bool  `json:"more,omitempty"`

	Repaired int64 `json:"repaired"` // parts since the start of the process
	Waiting  int64 `json:"waiting"`  // parts that the last round of repairs could not mend

	LastSnapshot time.Time `json:"last_snapshot,omitzero"`
	LastScrub    time.Time `json:"last_scrub,omitzero"` // end of a whole one
}

// TargetState is one target in Status.
type TargetState struct {
	ID       uint16 `json:"id"`
	UUID     string `json:"uuid"`
	Name     string `json:"name"`
	Domain   string `json:"domain,omitempty"` // failure domain; "" is its own
	State    string `json:"state"`            // the node's word for it, or "online" and "away"
	Error    string `json:"error,omitempty"`
	Usable   bool   `json:"usable"`
	Full     bool   `json:"full,omitempty"`
	Draining bool   `json:"draining,omitempty"`
	Failures int    `json:"failures,omitempty"` // in a row
	Total    uint64 `json:"total"`              // bytes of the file system
	Free     uint64 `json:"free"`
	Live     uint64 `json:"live"` // bytes of chunks
	Dead     uint64 `json:"dead"` // bytes that compaction gives back
	Chunks   uint64 `json:"chunks"`
}

// statusCount is how far the queues are counted for Status.
const statusCount = 100_000

// Status looks at targets and queues. When the metadata does not answer it tells the
// targets alone.
func (s *Store) Status(ctx context.Context) (*Status, error) {
	l := s.cfg.Layout
	st := &Status{
		Layout: l.String(), Survives: int(l.M),
		Repaired: s.upkeep.repaired.Load(), Waiting: s.upkeep.waiting.Load(),
		LastSnapshot: unixTime(s.upkeep.lastSnapshot.Load()),
	}
	if err := s.targetStates(ctx, st); err != nil {
		return nil, err
	}
	err := s.recorded(ctx, st)
	if errors.Is(err, metadata.ErrUnavailable) {
		st.Redundancy = "unknown: the metadata does not answer"
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	away := 0
	for _, t := range st.Targets {
		if !t.Usable {
			away++
		}
	}
	switch {
	case away > 0:
		st.Redundancy = fmt.Sprintf("degraded: %d targets are not usable, %d parts wait for repair", away, st.DamagedSets)
	case st.DamagedSets > 0:
		st.Redundancy = fmt.Sprintf("repairing: %d parts", st.DamagedSets)
	default:
		st.Redundancy = "full"
	}
	return st, nil
}

// recorded is what the metadata tells.
func (s *Store) recorded(ctx context.Context, st *Status) error {
	pass, err := s.scrubPass(ctx)
	if err != nil {
		return err
	}
	if pass.began > 0 {
		st.LastScrub = unixTime(pass.ended)
	}
	if st.LastSnapshot.IsZero() { // of an earlier process
		seqs, err := s.meta.SnapshotSeqs(ctx)
		if err != nil {
			return err
		}
		if len(seqs) > 0 {
			st.LastSnapshot = unixTime(int64(seqs[len(seqs)-1]))
		}
	}
	return s.queueSizes(ctx, st)
}

func unixTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func (s *Store) targetStates(ctx context.Context, st *Status) error {
	nodes := map[node.TargetUUID]node.TargetStatus{}
	if f := s.cfg.NodeStatus; f != nil {
		list, err := f(ctx)
		if err != nil {
			return fmt.Errorf("status of targets: %w", err)
		}
		for _, n := range list {
			nodes[n.ID] = n
		}
	}
	now := s.now()
	for _, t := range s.topology.Load().list {
		ts := TargetState{
			ID: uint16(t.id), UUID: hex.EncodeToString(t.uuid[:]), Name: t.name, Domain: t.domain, State: "online",
			Draining: t.drains, Usable: t.usable(now), Full: t.full(now), Failures: int(t.fails.Load()), Free: uint64(t.free.Load()),
		}
		if t.get() == nil {
			ts.State = "away"
		}
		if n, ok := nodes[t.uuid]; ok {
			u := n.Usage
			ts.State, ts.Error = n.State.String(), n.Error
			ts.Usable = ts.Usable && n.State == node.Online
			ts.Total, ts.Free, ts.Live, ts.Dead, ts.Chunks = u.Total, u.Free, u.LiveBytes, u.DeadBytes, u.Chunks
		}
		st.Targets = append(st.Targets, ts)
	}
	return nil
}

func (s *Store) queueSizes(ctx context.Context, st *Status) error {
	var after metadata.SetID
	for st.DamagedSets < statusCount {
		list, err := s.meta.Damage(ctx, after, 1000)
		if err != nil {
			return err
		}
		st.DamagedSets += int64(len(list))
		if len(list) < 1000 {
			break
		}
		after = list[len(list)-1].Set
	}
	var seq uint64
	for st.GarbageSets < statusCount {
		list, err := s.meta.GarbageAfter(ctx, seq, 1000)
		if err != nil {
			return err
		}
		st.GarbageSets += int64(len(list))
		if len(list) < 1000 {
			break
		}
		seq = list[len(list)-1].Seq
	}
	st.More = st.DamagedSets >= statusCount || st.GarbageSets >= statusCount
	return nil
}
