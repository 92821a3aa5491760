// Package freeport finds ports of loopback for processes that tests start, kill and start again.
//
// A port that the kernel chooses (port 0) may be given away again as soon as it is closed, to a connection that
// somebody makes or to another listener of port 0, and then the process cannot start. So ports are taken from below
// those that the kernel chooses from. Safe for concurrent use.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

const (
	lowest = 10000
	// kernel is where the ports begin that Linux chooses from, unless it says otherwise.
	kernel = 32768
	tries  = 1000
)

var state struct {
	sync.Mutex
	next int
}

// Address is 127.0.0.1:PORT where nothing listens, and which is returned once by this process until all others were.
func Address() (string, error) {
	state.Lock()
	defer state.Unlock()
	n := kernelFrom() - lowest
	if n < tries {
		return "", fmt.Errorf("no ports from %d on below those that the kernel chooses from: set net.ipv4.ip_local_port_range", lowest)
	}
	if state.next == 0 {
		state.next = rand.IntN(n)
	}
	var err error
	for range tries {
		state.next++
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+state.next%n)
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.Join(errors.New("no port of loopback is free"), err)
}

// kernelFrom is the first port that the kernel chooses by itself.
func kernelFrom() (from int) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(b), &from)
	}
	if err != nil {
		return kernel
	}
	return from
}
