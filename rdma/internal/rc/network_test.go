package rc

import (
	"testing"

	"github.com/weftstore/weft/rdma/internal/verbs"
)

// TestNamed: the interfaces of a device are those of its ports' GIDs, each once.
func TestNamed(t *testing.T) {
	port := func(netdevs ...string) verbs.Port {
		var p verbs.Port
		for i, name := range netdevs {
			p.GIDs = append(p.GIDs, verbs.GID{Index: i, Netdev: name})
		}
		return p
	}
	for _, c := range []struct {
		ports []verbs.Port
		want  string
	}{
		{[]verbs.Port{port("eth1", "eth1", "bond0.5", "eth1")}, "mlx5_0 (bond0.5, eth1)"},
		{[]verbs.Port{port("eth2"), port("eth1")}, "mlx5_0 (eth1, eth2)"},
		{[]verbs.Port{port(""), port()}, "mlx5_0"},
	} {
		if got := named(verbs.Info{Name: "mlx5_0", Ports: c.ports}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
