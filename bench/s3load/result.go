package s3load

import (
	"math"
	"slices"
	"time"
)

// DocumentVersion is the version of the JSON form of Document; it grows when the meaning of a field changes.
const DocumentVersion = 1

// Document is the outcome of a run: the raw figures of every round and what was derived from them.
type Document struct {
	Version     int          `json:"version"`
	Started     time.Time    `json:"started"`
	Environment Environment  `json:"environment"`
	Settings    Settings     `json:"settings"`
	Cases       []CaseResult `json:"cases"`
}

// Environment says where and of what the figures are.
type Environment struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`     // of this client
	Commit      string `json:"commit"` // of the software under test, as told
	Note        string `json:"note,omitempty"`
}

// Settings repeats the configuration, without credentials.
type Settings struct {
	Concurrency  int     `json:"concurrency"`
	SliceSeconds float64 `json:"slice_seconds"`
	Rounds       int     `json:"rounds"`
	Objects      int     `json:"objects"`
	PartSize     int64   `json:"part_size"`
	Verify       int     `json:"verify_every"`
	SignPayload  bool    `json:"sign_payload"`
	SyncBefore   bool    `json:"sync_before_slice"`
	Seed         uint64  `json:"seed"`
}

// CaseResult is one operation at one size on all endpoints.
type CaseResult struct {
	Name      string           `json:"name"` // for people: "get 4KiB"
	Op        Op               `json:"op"`
	Size      int64            `json:"size"` // of the objects
	RangeSize int64            `json:"range_size,omitempty"`
	Keys      int              `json:"keys,omitempty"`      // OpList
	Elsewhere int              `json:"elsewhere,omitempty"` // OpList: further keys in the bucket
	Endpoints []EndpointResult `json:"endpoints"`
	Ratios    []Ratio          `json:"ratios,omitempty"`
}

// EndpointResult holds the rounds of one endpoint in one case, and their medians.
type EndpointResult struct {
	Name   string  `json:"name"`
	URL    string  `json:"url"`
	Server string  `json:"server"` // Server header of its answers
	Rounds []Round `json:"rounds"`
	Median Round   `json:"median"` // each field's median by itself; counts of errors are sums
}

// Round is one slice. Fields that need a process id are 0 when none was given.
type Round struct {
	Seconds       float64          `json:"seconds"`
	Ops           float64          `json:"ops"`
	Errors        int64            `json:"errors"`
	Wrong         int64            `json:"wrong_bytes"`
	Checked       int64            `json:"checked"`    // operations whose bytes or keys were compared
	Reconnects    int64            `json:"reconnects"` // connections opened within the slice, because the server closed others
	FirstErrors   []string         `json:"first_errors,omitempty"`
	OpsPerSec     float64          `json:"ops_per_s"`
	MiBPerSec     float64          `json:"mib_per_s"`
	KeysPerSec    float64          `json:"keys_per_s,omitempty"`
	MeanUs        float64          `json:"latency_mean_us"`
	P50Us         float64          `json:"latency_p50_us"`
	P90Us         float64          `json:"latency_p90_us"`
	P99Us         float64          `json:"latency_p99_us"`
	MaxUs         float64          `json:"latency_max_us"`
	TTFBP50Us     float64          `json:"ttfb_p50_us"`
	TTFBP99Us     float64          `json:"ttfb_p99_us"`
	ServerCPU     float64          `json:"server_cpu_s"`
	CPUPerOpUs    float64          `json:"server_cpu_us_per_op"`
	CPUPerGiB     float64          `json:"server_cpu_s_per_gib"`
	KeysPerCPU    float64          `json:"keys_per_server_cpu_s,omitempty"`
	PeakRSS       float64          `json:"server_peak_rss_bytes"`
	PeakIsSlice   bool             `json:"peak_rss_of_slice"` // else of the life of the process
	ClientCPUOpUs float64          `json:"client_cpu_us_per_op"`
	SyncSeconds   float64          `json:"sync_before_s"` // what sync(2) took before the slice
	PerOp         map[Op]OpLatency `json:"per_op,omitempty"`
}

// OpLatency is one operation's part of a mixed slice.
type OpLatency struct {
	Ops   int64   `json:"ops"`
	P50Us float64 `json:"latency_p50_us"`
	P99Us float64 `json:"latency_p99_us"`
}

// Ratio compares the first endpoint with another: its figure divided by the other's, round by round.
type Ratio struct {
	Against string    `json:"against"`
	Metric  string    `json:"metric"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Rounds  []float64 `json:"rounds"`
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// ratio is a/b, and 0 for b = 0: JSON has no infinity.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// usage is what a slice cost besides what its workers counted.
type usage struct {
	elapsed, server, client, sync time.Duration
	peak                          int64
	peakOfSlice                   bool
	reconnects                    int64
}

func newRound(s *stat, u usage) Round {
	sec := u.elapsed.Seconds()
	ops := float64(s.ops)
	gib := float64(s.bytes) / (1 << 30)
	r := Round{
		Seconds: sec, Ops: ops, Errors: s.errors, Wrong: s.wrong, Checked: s.checked, Reconnects: u.reconnects,
		FirstErrors: s.firstErrs,
		OpsPerSec:   ratio(ops, sec), MiBPerSec: ratio(gib*1024, sec), KeysPerSec: ratio(float64(s.keys), sec),
		MeanUs: us(s.lat.Mean()), P50Us: us(s.lat.Quantile(.5)), P90Us: us(s.lat.Quantile(.9)),
		P99Us: us(s.lat.Quantile(.99)), MaxUs: us(s.lat.Max()),
		TTFBP50Us: us(s.ttfb.Quantile(.5)), TTFBP99Us: us(s.ttfb.Quantile(.99)),
		ServerCPU: u.server.Seconds(), CPUPerOpUs: ratio(us(u.server), ops), CPUPerGiB: ratio(u.server.Seconds(), gib),
		KeysPerCPU: ratio(float64(s.keys), u.server.Seconds()),
		PeakRSS:    float64(u.peak), PeakIsSlice: u.peakOfSlice,
		ClientCPUOpUs: ratio(us(u.client), ops), SyncSeconds: u.sync.Seconds(),
	}
	for op, h := range s.kinds {
		if r.PerOp == nil {
			r.PerOp = map[Op]OpLatency{}
		}
		r.PerOp[op] = OpLatency{Ops: int64(h.Count()), P50Us: us(h.Quantile(.5)), P99Us: us(h.Quantile(.99))}
	}
	return r
}

// median of xs; 0 when empty. xs is left alone.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// column collects one figure of all rounds.
func column(rounds []Round, f func(*Round) float64) []float64 {
	xs := make([]float64, len(rounds))
	for i := range rounds {
		xs[i] = f(&rounds[i])
	}
	return xs
}

// figures are the fields of Round of which a median makes sense.
func (r *Round) figures() []*float64 {
	return []*float64{
		&r.Seconds, &r.Ops, &r.OpsPerSec, &r.MiBPerSec, &r.KeysPerSec, &r.MeanUs, &r.P50Us, &r.P90Us, &r.P99Us, &r.MaxUs,
		&r.TTFBP50Us, &r.TTFBP99Us, &r.ServerCPU, &r.CPUPerOpUs, &r.CPUPerGiB, &r.KeysPerCPU, &r.PeakRSS,
		&r.ClientCPUOpUs, &r.SyncSeconds,
	}
}

func medianRound(rounds []Round) Round {
	var m Round
	for i, dst := range m.figures() {
		*dst = median(column(rounds, func(r *Round) float64 { return *r.figures()[i] }))
	}
	m.PeakIsSlice = true
	for _, r := range rounds {
		m.Errors += r.Errors
		m.Wrong += r.Wrong
		m.Checked += r.Checked
		m.Reconnects += r.Reconnects
		m.PeakIsSlice = m.PeakIsSlice && r.PeakIsSlice
		m.FirstErrors = append(m.FirstErrors, r.FirstErrors...)
	}
	m.FirstErrors = m.FirstErrors[:min(len(m.FirstErrors), maxFirstErrs)]
	return m
}

// metrics that are compared between endpoints.
var metrics = []struct {
	name string
	get  func(*Round) float64
}{
	{"throughput", func(r *Round) float64 { return r.OpsPerSec }},
	{"server cpu per request", func(r *Round) float64 { return r.CPUPerOpUs }},
	{"keys per server cpu second", func(r *Round) float64 { return r.KeysPerCPU }},
	{"latency p50", func(r *Round) float64 { return r.P50Us }},
	{"latency p99", func(r *Round) float64 { return r.P99Us }},
	{"ttfb p50", func(r *Round) float64 { return r.TTFBP50Us }},
}

// summarise fills in medians and ratios.
func (c *CaseResult) summarise() {
	for i := range c.Endpoints {
		c.Endpoints[i].Median = medianRound(c.Endpoints[i].Rounds)
	}
	c.Ratios = nil
	for i := 1; i < len(c.Endpoints); i++ {
		for _, m := range metrics {
			var rs []float64
			for k := range min(len(c.Endpoints[0].Rounds), len(c.Endpoints[i].Rounds)) {
				x := ratio(m.get(&c.Endpoints[0].Rounds[k]), m.get(&c.Endpoints[i].Rounds[k]))
				if x > 0 {
					rs = append(rs, x)
				}
			}
			if len(rs) > 0 {
				c.Ratios = append(c.Ratios, Ratio{
					Against: c.Endpoints[i].Name, Metric: m.name, Median: median(rs), Min: slices.Min(rs), Max: slices.Max(rs), Rounds: rs,
				})
			}
		}
	}
}

// student95 holds the two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom.
var student95 = [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}

// meanCI returns the mean and half the width of its 95 % confidence interval (0 for fewer than two values).
func meanCI(xs []float64) (mean, half float64) {
	n := len(xs)
	if n == 0 {
		return 0, 0
	}
	for _, x := range xs {
		mean += x / float64(n)
	}
	if n < 2 {
		return mean, 0
	}
	var sq float64
	for _, x := range xs {
		sq += (x - mean) * (x - mean)
	}
	t := student95[min(n-1, len(student95))-1]
	return mean, t * math.Sqrt(sq/float64(n-1)) / math.Sqrt(float64(n))
}
