package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		addr, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < lowest || n >= kernelFrom() {
			t.Fatalf("%s is one that the kernel may choose", addr)
		}
		if seen[addr] {
			t.Fatalf("%s twice", addr)
		}
		seen[addr] = true
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
