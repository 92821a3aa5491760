package rdma

// Counted is what has a name and counters: a Transport, or one wire of a Transport
// that runs several.
type Counted interface {
	// Name is "mem", "tcp" or "verbs".
	Name() string
	Stats() Stats
}

// Stats are counters of one transport since it was made, and gauges.
type Stats struct {
	Calls, CallErrors uint64 // made at this end
	CallsInFlight     int64  // now

	// Transfers that this end's handlers asked for, and their bytes. Where the
	// transport sees what peers move in this end's memory (tcp), the bytes are
	// counted there too.
	Pulls, Pushes  uint64
	PulledBytes    uint64
	PushedBytes    uint64
	TransferErrors uint64

	RegisteredBytes int64 // now
	// Staging memory of transfers that this end asked for, now. Waiting counts
	// transfers that wait for some.
	StagingBytes, StagingInUse, StagingWaiting int64

	Connections, Listeners int64            // now; connections count lanes
	Redials                uint64           // lanes made anew in place of dead ones
	AuthFailures           uint64           // peers that did not prove that they have the secret
	CreditsWaiting         int64            // calls that wait for a slot, now
	CreditWaits            uint64           // calls that had to wait for a slot
	KeepAliveKills         uint64           // lanes given up because nothing came
	QueuePairs             map[string]int64 // verbs: now, by state
}

// Add adds o to s: the figures of several transports of one process that share no
// memory.
func (s *Stats) Add(o Stats) {
	s.Calls += o.Calls
	s.CallErrors += o.CallErrors
	s.CallsInFlight += o.CallsInFlight
	s.Pulls += o.Pulls
	s.Pushes += o.Pushes
	s.PulledBytes += o.PulledBytes
	s.PushedBytes += o.PushedBytes
	s.TransferErrors += o.TransferErrors
	s.RegisteredBytes += o.RegisteredBytes
	s.StagingBytes += o.StagingBytes
	s.StagingInUse += o.StagingInUse
	s.StagingWaiting += o.StagingWaiting
	s.Connections += o.Connections
	s.Listeners += o.Listeners
	s.Redials += o.Redials
	s.AuthFailures += o.AuthFailures
	s.CreditsWaiting += o.CreditsWaiting
	s.CreditWaits += o.CreditWaits
	s.KeepAliveKills += o.KeepAliveKills
	for state, n := range o.QueuePairs {
		if s.QueuePairs == nil {
			s.QueuePairs = map[string]int64{}
		}
		s.QueuePairs[state] += n
	}
}
