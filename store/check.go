package store

import "context"

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
	Chunks      int64 `json:"chunks"` // seen on the targets
	// Orphans are chunks that nothing refers to, such as a crash leaves. They cost
	// space and are collected by Repair and in the background.
	Orphans     int64 `json:"orphans"`
	OrphanBytes int64 `json:"orphan_bytes"`
	Garbage     int64 `json:"garbage"` // chunk sets that wait for deletion
	// Problems describes the first ones.
	Problems []string `json:"problems,omitempty"`
}

// Clean says that every shard is where the metadata says, as far as was looked.
func (r *CheckResult) Clean() bool { return r.Missing == 0 && r.Unreachable == 0 && r.Corrupt == 0 }

func (s *Store) Check(ctx context.Context, o CheckOptions, report Report) (*CheckResult, error) {
	return nil, errTODO
}
func (s *Store) sweep(ctx context.Context, del bool, r *CheckResult, report Report) (int64, error) {
	return 0, errTODO
}
