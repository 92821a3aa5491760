package fabric

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
)

// Counters are what devices count: "rxe0/1 sent_pkts" -> value. The names are those
// of the device's driver.
type Counters map[string]uint64

// ReadCounters reads the counters of all devices below root ("/" for this host):
// those of the hardware and the port's own. Few devices count alike; what cannot
// be read is left out.
func ReadCounters(root string) Counters {
	s, out := Source{Root: root}, Counters{}
	for _, device := range s.list(infiniband) {
		for _, port := range s.list(infiniband, device, "ports") {
			for _, kind := range []string{"hw_counters", "counters"} {
				dir := filepath.Join(infiniband, device, "ports", port, kind)
				for _, name := range s.list(dir) {
					if v, err := strconv.ParseUint(s.read(dir, name), 10, 64); err == nil && name != "lifespan" {
						out[device+"/"+port+" "+name] = v
					}
				}
			}
		}
	}
	return out
}

// Since is what was added after an earlier reading; counters that did not move are
// left out.
func (c Counters) Since(before Counters) Counters {
	out := Counters{}
	for name, v := range c {
		if d := v - before[name]; v >= before[name] && d > 0 {
			out[name] = d
		}
	}
	return out
}

// Names are sorted.
func (c Counters) Names() []string { return slices.Sorted(maps.Keys(c)) }
