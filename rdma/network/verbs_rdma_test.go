package network

import (
	"net"
	"os"
	"testing"

	"github.com/weftstore/weft/rdma"
)

// railAddr is the address of the i-th RDMA device of the test machine, with any port.
func railAddr(t *testing.T, i int) string {
	t.Helper()
	if os.Getenv("WEFT_RDMA_TEST") == "" {
		t.Skip("needs RDMA devices: run it by scripts/rdma/vm with WEFT_RDMA_TEST=1")
	}
	return net.JoinHostPort([]string{"10.0.0.1", "10.0.0.2"}[i], "0")
}

func TestRDMAConformance(t *testing.T) {
	conform(t, Verbs, railAddr(t, 1), rdma.Options{Staging: 2 * rdma.MaxBulk})
}

func TestRDMAConformanceAuto(t *testing.T) {
	conform(t, Auto, railAddr(t, 1), rdma.Options{Staging: 2 * rdma.MaxBulk})
}
