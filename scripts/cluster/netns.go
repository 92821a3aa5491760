package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"

	"github.com/weftstore/weft/internal/freeport"
)

// spaces are network namespaces, one for each process, joined by a bridge whose address the clients come from. To cut a
// process off its end of the cable at the bridge is pulled: nothing is refused, nothing arrives.
type spaces struct {
	bridge string
	subnet string // 10.x.y
	names  []string
}

// newSpaces makes the bridge.
func newSpaces() (*spaces, error) {
	n := rand.IntN(1 << 16)
	s := &spaces{bridge: fmt.Sprintf("wft%04x", n), subnet: fmt.Sprintf("10.%d.%d", n>>8, n&255)}
	err := ip("link add " + s.bridge + " type bridge")
	if err == nil {
		err = errors.Join(ip("addr add "+s.subnet+".1/24 dev "+s.bridge), ip("link set "+s.bridge+" up"))
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func ip(args string) error {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput() //nolint:gosec // of this program
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, out)
	}
	return nil
}

func (s *spaces) space(i int) string { return s.bridge + "-" + strconv.Itoa(i) }

// cable is the end of a process's cable at the bridge.
func (s *spaces) cable(i int) string { return s.bridge + "v" + strconv.Itoa(i) }

// add makes a namespace and gives its number and its address.
func (s *spaces) add(name string) (i int, addr string, err error) {
	i = len(s.names)
	s.names = append(s.names, name)
	addr = fmt.Sprintf("%s.%d", s.subnet, i+2)
	space, cable := s.space(i), s.cable(i)
	for _, args := range []string{
		"netns add " + space,
		"link add " + cable + " type veth peer name eth0 netns " + space,
		"link set " + cable + " master " + s.bridge + " up",
		"-n " + space + " addr add " + addr + "/24 dev eth0",
		"-n " + space + " link set eth0 up",
		"-n " + space + " link set lo up",
	} {
		if err := ip(args); err != nil {
			return 0, "", err
		}
	}
	return i, addr, nil
}

// close removes everything.
func (s *spaces) close() error {
	var err error
	for i := range s.names {
		err = errors.Join(err, ip("netns del "+s.space(i)))
	}
	return errors.Join(err, ip("link del "+s.bridge))
}

// place is where a process runs: its address, without a port, and its namespace.
type place struct {
	host  string
	space int
}

// place gives a process a namespace of its own, or loopback.
func (c *cluster) place(name string) (place, error) {
	if c.spaces == nil {
		return place{host: "127.0.0.1", space: -1}, nil
	}
	i, addr, err := c.spaces.add(name)
	return place{addr, i}, err
}

// listen is an address to listen at there.
func (p place) listen(port int) (string, error) {
	if p.space < 0 {
		return freeport.Address()
	}
	return fmt.Sprintf("%s:%d", p.host, port), nil
}

// cuts are the faults of the network: each process alone on its side.
func (c *cluster) cuts() (list []fault) {
	for _, p := range c.all {
		if p.place.space < 0 {
			continue
		}
		cable := c.spaces.cable(p.place.space)
		list = append(list, fault{name: "cut " + p.name + " off", begin: func() error { return ip("link set " + cable + " down") },
			end: func(context.Context) error { return ip("link set " + cable + " up") }})
	}
	return list
}
