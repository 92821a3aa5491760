package network

import (
	"bytes"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/weftstore/weft/rdma"
	"github.com/weftstore/weft/rdma/rdmatest"
)

var secret = bytes.Repeat([]byte("s"), rdma.MinSecret)

// open makes a transport that is closed with the test.
func open(t *testing.T, kind string, o rdma.Options) *Transport {
	t.Helper()
	if o.Secret == nil {
		o.Secret = secret
	}
	n, err := New(Config{Kind: kind, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close transport: %v", err)
		}
	})
	return n
}

func conform(t *testing.T, kind, addr string, o rdma.Options) {
	rdmatest.Run(t, func(t *testing.T) (client, server rdma.Transport, at string) {
		return open(t, kind, o), open(t, kind, o), addr
	})
}

func TestConformanceTCP(t *testing.T) { conform(t, TCP, "127.0.0.1:0", rdma.Options{}) }

func TestConformanceTLS(t *testing.T) { conform(t, TCP, "127.0.0.1:0", rdma.Options{TLS: true}) }

func TestConformanceAuto(t *testing.T) { conform(t, Auto, "127.0.0.1:0", rdma.Options{}) }

// TestRefusedDial: the error says once who did not answer, and why.
func TestRefusedDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = open(t, TCP, rdma.Options{}).Dial(t.Context(), addr)
	if !errors.Is(err, rdma.ErrPeer) || !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "tcp: connect to "+addr+": fabric peer unreachable: connection refused" {
		t.Error(err)
	}
}
