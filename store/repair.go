package store

import (
	"context"
	"errors"
)

var errTODO = errors.New("not there yet")

// RepairOptions of Store.Repair.
type RepairOptions struct {
	BytesPerSecond int64 // to write at most; 0 is no limit
}

// RepairResult counts what a repair did.
type RepairResult struct {
	Parts    int64    `json:"parts"`    // looked at
	Repaired int64    `json:"repaired"` // parts
	Shards   int64    `json:"shards"`   // rebuilt
	Bytes    int64    `json:"bytes"`    // written
	Waiting  int64    `json:"waiting"`  // parts that wait for a target
	Failed   int64    `json:"failed"`   // parts that could not be repaired
	Lost     int64    `json:"lost"`     // of them, parts with fewer shards left than needed
	Orphans  int64    `json:"orphans"`  // chunks collected
	Problems []string `json:"problems,omitempty"`
}

func (s *Store) Repair(ctx context.Context, o RepairOptions, report Report) (*RepairResult, error) {
	return nil, errTODO
}
func (s *Store) drainDamage(ctx context.Context, o RepairOptions, report Report) (*RepairResult, error) {
	return nil, errTODO
}
