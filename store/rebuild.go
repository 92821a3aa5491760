package store

import (
	"context"
	"errors"
	"log/slog"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/rdma"
)

// RebuildConfig is what Rebuild works on.
type RebuildConfig struct {
	// Meta is a database on KV, which must be empty.
	Meta *metadata.DB
	KV   metadata.KV
	// Pool and Small are memory to read snapshots and manifests in, as for a Store.
	Pool, Small *rdma.Pool
	// Targets are all targets that can be had. UUID and Name must be set; ID is
	// not looked at, as it is found by Rebuild.
	Targets []TargetConfig
	Logger  *slog.Logger // nil discards
}

// RebuildResult counts what was brought back.
type RebuildResult struct {
	Snapshot bool     `json:"snapshot"` // one was restored
	Chunks   int64    `json:"chunks"`   // seen on the targets
	Buckets  int64    `json:"buckets"`  // made for versions that came back
	Versions int64    `json:"versions"` // imported beside the snapshot
	Uploads  int64    `json:"uploads"`  // unfinished ones seen whose parts are left to the collector
	Damaged  int64    `json:"damaged"`  // parts with shards missing, queued for repair
	Lost     int64    `json:"lost"`     // parts with fewer shards than needed
	Ignored  int64    `json:"ignored"`  // chunk sets older than the snapshot, deleted or replaced since
	Problems []string `json:"problems,omitempty"`
}

// Rebuild makes metadata from what is on the targets.
func Rebuild(ctx context.Context, c RebuildConfig, report Report) (*RebuildResult, error) {
	return nil, errors.New("rebuild: not there yet")
}
