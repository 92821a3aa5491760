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
	gauge("weft_fabric_connections", "Connections that are up.",
		func(s *rdma.Stats) float64 { return float64(s.Connections) }, transportLabel),
	gauge("weft_fabric_listeners", "Addresses served.",
		func(s *rdma.Stats) float64 { return float64(s.Listeners) }, transportLabel),
}

// One is the function that Fabric wants, for a single transport.
func One(t rdma.Transport) func() []rdma.Transport {
	return func() []rdma.Transport { return []rdma.Transport{t} }
}

// Fabric shows the transports that the function names, which is called at each
// scrape. Two of one name are added up.
func (s *Set) Fabric(transports func() []rdma.Transport) {
	s.reg.MustRegister(fabricCollector(transports))
}

type fabricCollector func() []rdma.Transport

func (fabricCollector) Describe(ch chan<- *prometheus.Desc) { describe(ch, fabricFields) }

func (c fabricCollector) Collect(ch chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, t := range c() {
		if name := t.Name(); !seen[name] {
			seen[name] = true
			stats := t.Stats()
			emit(ch, fabricFields, &stats, name)
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
