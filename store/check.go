package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/weftstore/weft/metadata"
)

// CheckOptions of Store.Check.
type CheckOptions struct {
	Deep bool // read and verify every byte
}

// CheckResult says how metadata and targets compare.
type CheckResult struct {
	Parts       int64 `json:"parts"`       // in the metadata
	Shards      int64 `json:"shards"`      // of them, expected on targets
	Missing     int64 `json:"missing"`     // shards that are nowhere
	Unreachable int64 `json:"unreachable"` // shards on targets that do not answer
	Corrupt     int64 `json:"corrupt"`
	Crowded     int64 `json:"crowded"` // shards on a target that has another one of their part
	// Misplaced are shards, the crowded ones too, beyond what a failure domain may hold
	// of a part while others could take them. Repair moves them.
	Misplaced int64 `json:"misplaced"`
	Chunks    int64 `json:"chunks"` // seen on the targets
	// Orphans are chunks that nothing refers to, such as a crash leaves. They cost
	// space and are collected by Repair and in the background.
	Orphans     int64 `json:"orphans"`
	OrphanBytes int64 `json:"orphan_bytes"`
	Garbage     int64 `json:"garbage"` // chunk sets that wait for deletion
	// Problems describes the first ones.
	Problems []string `json:"problems,omitempty"`
}

// Clean says that every shard is where the metadata says, as far as was looked,
// no two of a part are on one target, and no failure domain holds too many.
func (r *CheckResult) Clean() bool {
	return r.Missing == 0 && r.Unreachable == 0 && r.Corrupt == 0 && r.Crowded == 0 && r.Misplaced == 0
}

const maxProblems = 100

func problem(list *[]string, format string, args ...any) {
	if len(*list) < maxProblems {
		*list = append(*list, fmt.Sprintf(format, args...))
	}
}

// Check compares the metadata with the targets, both ways. It changes nothing.
// Requests that go on meanwhile do not make it see problems.
func (s *Store) Check(ctx context.Context, o CheckOptions, report Report) (*CheckResult, error) {
	r := new(CheckResult)
	p := newProgress(report, "check parts")
	err := s.walk(ctx, o.Deep, &throttle{}, func(in *inspected) error {
		tp := s.topology.Load()
		r.add(in, tp)
		r.addMisplaced(in, tp)
		var bytes int64
		if o.Deep {
			bytes = int64(len(in.fates)) * geometry(&in.part).ChunkLen()
		}
		p.add(1, bytes)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("check parts: %w", err)
	}
	if _, err := s.sweep(ctx, false, r, report); err != nil {
		return nil, fmt.Errorf("check chunks: %w", err)
	}
	err = s.eachGarbage(ctx, func(*metadata.Garbage) { r.Garbage++ })
	return r, err
}

func (r *CheckResult) add(in *inspected, tp *topology) {
	r.Parts++
	r.Shards += int64(len(in.fates))
	words := [...]string{shardMissing: "missing", shardCorrupt: "corrupt", shardAway: "on a target that does not answer"}
	for i, id := range in.part.Targets {
		if id != 0 && slices.Contains(in.part.Targets[:i], id) {
			r.Crowded++
			problem(&r.Problems, "%q part %d, set %x: shard %d shares target %s with another", in.ref.Key, in.ref.Number, in.part.Set, i, tp.name(id))
		}
	}
	for i, f := range in.fates {
		switch f {
		case shardGood:
			continue
		case shardMissing:
			r.Missing++
		case shardCorrupt:
			r.Corrupt++
		case shardAway:
			r.Unreachable++
		}
		var id metadata.TargetID
		if i < len(in.part.Targets) {
			id = in.part.Targets[i]
		}
		problem(&r.Problems, "%q part %d, set %x: shard %d (target %s) is %s", in.ref.Key, in.ref.Number, in.part.Set, i, tp.name(id), words[f])
	}
}

func (r *CheckResult) addMisplaced(in *inspected, tp *topology) {
	mask := tp.surplus(&in.part)
	for i, id := range in.part.Targets {
		if mask&(1<<i) != 0 {
			r.Misplaced++
			problem(&r.Problems, "%q part %d, set %x: shard %d (target %s) is one too many in failure domain %q; `weft admin repair` moves it",
				in.ref.Key, in.ref.Number, in.part.Set, i, tp.name(id), tp.byID[id].domain)
		}
	}
}

// eachGarbage reads the whole queue.
func (s *Store) eachGarbage(ctx context.Context, fn func(*metadata.Garbage)) error {
	var seq uint64
	for {
		list, err := s.meta.GarbageAfter(ctx, seq, 1000)
		if err != nil {
			return err
		}
		for i := range list {
			fn(&list[i])
		}
		if len(list) < 1000 {
			return nil
		}
		seq = list[len(list)-1].Seq
	}
}
