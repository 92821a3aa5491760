package store

import (
	"strings"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// Two shards on one target are lost together, though each is there.
func TestCheckSeesShardsThatShareATarget(t *testing.T) {
	tp := &topology{byID: map[metadata.TargetID]*target{1: {name: "node1:/data"}}}
	good := []shardFate{shardGood, shardGood, shardGood}
	for _, c := range []struct {
		targets []metadata.TargetID
		crowded int64
	}{
		{[]metadata.TargetID{1, 2, 3}, 0},
		{[]metadata.TargetID{1, 2, 1}, 1},
		{[]metadata.TargetID{4, 4, 4}, 2},
	} {
		var r CheckResult
		r.add(&inspected{part: metadata.Part{Targets: c.targets}, fates: good}, tp)
		if r.Crowded != c.crowded || r.Clean() != (c.crowded == 0) {
			t.Errorf("targets %v: %+v", c.targets, r)
		}
	}
	var r CheckResult
	r.add(&inspected{part: metadata.Part{Targets: []metadata.TargetID{0, 0, 3}}, fates: []shardFate{shardMissing, shardMissing, shardGood}}, tp)
	if r.Crowded != 0 || r.Missing != 2 {
		t.Errorf("shards that are nowhere share no target: %+v", r)
	}
	r = CheckResult{}
	r.add(&inspected{part: metadata.Part{Targets: []metadata.TargetID{1, 2}}, fates: []shardFate{shardAway, shardMissing}}, tp)
	if len(r.Problems) != 2 || !strings.Contains(r.Problems[0], "target node1:/data") || !strings.Contains(r.Problems[1], "target 2") {
		t.Errorf("targets are not named as `weft admin status` does: %q", r.Problems)
	}
}
