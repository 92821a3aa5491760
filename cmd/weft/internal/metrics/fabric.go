package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/rdma"
)

const transportLabel = "transport"

// fabricFields are those of rdma.Stats.
var fabricFields = []field[rdma.Stats]{
	counter("weft_fabric_calls_total", "Calls made to other ends.",
		func(s *rdma.Stats) float64 { return float64(s.Calls) }, transportLabel),
	counter("weft_fabric_call_errors_total", "Calls that failed without an answer.",
		func(s *rdma.Stats) float64 { return float64(s.CallErrors) }, transportLabel),
	counter("weft_fabric_pulls_total", "Transfers out of a peer's memory (RDMA READ on verbs).",
		func(s *rdma.Stats) float64 { return float64(s.Pulls) }, transportLabel),
	counter("weft_fabric_pushes_total", "Transfers into a peer's memory (RDMA WRITE on verbs).",
		func(s *rdma.Stats) float64 { return float64(s.Pushes) }, transportLabel),
	counter("weft_fabric_pulled_bytes_total", "Bytes read from the memory of peers.",
		func(s *rdma.Stats) float64 { return float64(s.PulledBytes) }, transportLabel),
	counter("weft_fabric_pushed_bytes_total", "Bytes written into the memory of peers.",
		func(s *rdma.Stats) float64 { return float64(s.PushedBytes) }, transportLabel),
	counter("weft_fabric_transfer_errors_total", "Transfers that failed.",
		func(s *rdma.Stats) float64 { return float64(s.TransferErrors) }, transportLabel),
	gauge("weft_fabric_registered_bytes", "Memory registered with the transport.",
		func(s *rdma.Stats) float64 { return float64(s.RegisteredBytes) }, transportLabel),
	gauge("weft_fabric_calls_in_flight", "Calls that wait for their answer.",
		func(s *rdma.Stats) float64 { return float64(s.CallsInFlight) }, transportLabel),
	gauge("weft_fabric_staging_bytes", "Memory through which transfers that this end asks for go.",
		func(s *rdma.Stats) float64 { return float64(s.StagingBytes) }, transportLabel),
	gauge("weft_fabric_staging_in_use_bytes", "Part of it that transfers under way have.",
		func(s *rdma.Stats) float64 { return float64(s.StagingInUse) }, transportLabel),
	gauge("weft_fabric_staging_waiting_transfers", "Transfers that wait for some of it.",
		func(s *rdma.Stats) float64 { return float64(s.StagingWaiting) }, transportLabel),
	counter("weft_fabric_redials_total", "Connections made anew in place of dead ones.",
		func(s *rdma.Stats) float64 { return float64(s.Redials) }, transportLabel),
	counter("weft_fabric_auth_failures_total", "Peers that did not prove that they have the secret.",
		func(s *rdma.Stats) float64 { return float64(s.AuthFailures) }, transportLabel),
	gauge("weft_fabric_credits_waiting_calls", "Calls that wait until the other end takes another one.",
		func(s *rdma.Stats) float64 { return float64(s.CreditsWaiting) }, transportLabel),
	counter("weft_fabric_credit_waits_total", "Calls that had to wait until the other end took another one.",
		func(s *rdma.Stats) float64 { return float64(s.CreditWaits) }, transportLabel),
	counter("weft_fabric_keepalive_kills_total", "Connections given up because nothing came from the other end.",
		func(s *rdma.Stats) float64 { return float64(s.KeepAliveKills) }, transportLabel),
	gauge("weft_fabric_connections", "Connections that are up.",
		func(s *rdma.Stats) float64 { return float64(s.Connections) }, transportLabel),
	gauge("weft_fabric_listeners", "Addresses served.",
		func(s *rdma.Stats) float64 { return float64(s.Listeners) }, transportLabel),
}

var queuePairs = prometheus.NewDesc("weft_fabric_queue_pairs", "Queue pairs by their state (verbs).",
	[]string{transportLabel, "state"}, nil)

// One is the function that Fabric wants, for a single transport.
func One(t rdma.Counted) func() []rdma.Counted {
	return func() []rdma.Counted { return []rdma.Counted{t} }
}

// Fabric shows the wires that the function names, which is called at each scrape.
// Of two with one name the first is shown.
func (s *Set) Fabric(wires func() []rdma.Counted) {
	s.reg.MustRegister(fabricCollector(wires))
}

type fabricCollector func() []rdma.Counted

func (fabricCollector) Describe(ch chan<- *prometheus.Desc) {
	describe(ch, fabricFields)
	ch <- queuePairs
}

func (c fabricCollector) Collect(ch chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, wire := range c() {
		name := wire.Name()
		if seen[name] {
			continue
		}
		seen[name] = true
		stats := wire.Stats()
		emit(ch, fabricFields, &stats, name)
		for state, n := range stats.QueuePairs {
			ch <- prometheus.MustNewConstMetric(queuePairs, prometheus.GaugeValue, float64(n), name, state)
		}
	}
}

const poolLabel = "pool"

// poolFields are those of rdma.PoolStats.
var poolFields = []field[rdma.PoolStats]{
	gauge("weft_pool_block_bytes", "Size of a block of registered memory.",
		func(s *rdma.PoolStats) float64 { return float64(s.BlockSize) }),
	gauge("weft_pool_blocks", "Blocks in the pool.",
		func(s *rdma.PoolStats) float64 { return float64(s.Blocks) }),
	gauge("weft_pool_blocks_in_use", "Blocks handed out.",
		func(s *rdma.PoolStats) float64 { return float64(s.InUse) }),
	gauge("weft_pool_blocks_in_use_peak", "Most blocks ever handed out at once.",
		func(s *rdma.PoolStats) float64 { return float64(s.HighWater) }),
	gauge("weft_pool_waiting_requests", "Requests that wait for blocks.",
		func(s *rdma.PoolStats) float64 { return float64(s.Waiting) }),
}

// Pool shows a pool under a name such as "bulk". Each pool has another name.
func (s *Set) Pool(name string, p *rdma.Pool) {
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{poolLabel: name}, s.reg)
	labelled.MustRegister(poolCollector{p})
}

type poolCollector struct{ p *rdma.Pool }

func (poolCollector) Describe(ch chan<- *prometheus.Desc) { describe(ch, poolFields) }

func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.p.Stats()
	emit(ch, poolFields, &stats)
}
