package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/node"
)

// targetLabels name a target: its UUID and the directory where it is served.
var targetLabels = []string{"target", "dir"}

// targetFields are those of node.TargetStatus.
var targetFields = []field[node.TargetStatus]{
	gauge("weft_target_online", "Whether the target serves reads and writes (1) or is in another state (0).",
		func(t *node.TargetStatus) float64 { return bool01(t.State == node.Online) }, targetLabels...),
	counter("weft_target_io_errors_total", "I/O errors of the file system beneath.",
		func(t *node.TargetStatus) float64 { return float64(t.IOErrors) }, targetLabels...),
	gauge("weft_target_consecutive_io_errors", "I/O errors in a row, 0 after a success.",
		func(t *node.TargetStatus) float64 { return float64(t.ConsecutiveIOErrors) }, targetLabels...),
	counter("weft_target_corruptions_total", "Reads and verifications that found bytes not matching their checksum.",
		func(t *node.TargetStatus) float64 { return float64(t.CorruptFound) }, targetLabels...),
	gauge("weft_target_open_writers", "Chunks being written.",
		func(t *node.TargetStatus) float64 { return float64(t.Writers) }, targetLabels...),
	counter("weft_target_reads_total", "Chunk reads.",
		func(t *node.TargetStatus) float64 { return float64(t.Reads) }, targetLabels...),
	counter("weft_target_read_bytes_total", "Bytes of chunks read.",
		func(t *node.TargetStatus) float64 { return float64(t.ReadBytes) }, targetLabels...),
	counter("weft_target_writes_total", "Chunk writes.",
		func(t *node.TargetStatus) float64 { return float64(t.Writes) }, targetLabels...),
	counter("weft_target_written_bytes_total", "Bytes of chunks written.",
		func(t *node.TargetStatus) float64 { return float64(t.WrittenBytes) }, targetLabels...),
	gauge("weft_target_size_bytes", "Size of the file system.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.Total) }, targetLabels...),
	gauge("weft_target_free_bytes", "Free space of the file system.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.Free) }, targetLabels...),
	gauge("weft_target_chunks", "Chunks stored.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.Chunks) }, targetLabels...),
	gauge("weft_target_live_bytes", "Bytes of chunks stored.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.LiveBytes) }, targetLabels...),
	gauge("weft_target_dead_bytes", "Bytes that compaction gives back.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.DeadBytes) }, targetLabels...),
	gauge("weft_target_extents", "Extent files.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.Extents) }, targetLabels...),
	counter("weft_target_syncs_total", "Group commits: one sync each.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.SyncedCommits) }, targetLabels...),
	counter("weft_target_committed_chunks_total", "Chunks made durable by those syncs.",
		func(t *node.TargetStatus) float64 { return float64(t.Usage.CommitChunks) }, targetLabels...),
}

var targetState = prometheus.NewDesc("weft_target_state",
	"The state of the target: 1 for the one it is in, 0 for the others.", append(targetLabels, "state"), nil)

// targetStates are those that a target can be in.
var targetStates = []node.State{
	node.Offline, node.Online, node.Full, node.Failing, node.Corrupt, node.Fenced, node.Empty, node.Foreign,
}

// Targets shows the targets that the function tells of: Client.Status of package
// node, or several joined.
func (s *Set) Targets(status func(ctx context.Context) ([]node.TargetStatus, error)) {
	s.reg.MustRegister(&targetCollector{status, upDesc("targets")})
}

type targetCollector struct {
	status func(ctx context.Context) ([]node.TargetStatus, error)
	up     *prometheus.Desc
}

func (c *targetCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- targetState
	describe(ch, targetFields)
}

// Collect leaves out a target that is told twice, as when two nodes claim it
// during a move: a scrape must not have one series twice.
func (c *targetCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	all, err := c.status(ctx)
	ch <- upMetric(c.up, err)
	if err != nil {
		return
	}
	seen := map[node.TargetUUID]bool{}
	for i := range all {
		t := &all[i]
		if seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		id, dir := t.ID.String(), validUTF8(t.Dir)
		emit(ch, targetFields, t, id, dir)
		for _, st := range targetStates {
			ch <- prometheus.MustNewConstMetric(targetState, prometheus.GaugeValue, bool01(t.State == st), id, dir, st.String())
		}
	}
}
