package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"

	"github.com/weftstore/weft/scripts/cluster/badfs"
)

// Bounds of what a fault may cost.
const (
	// slower is how much a read may take in its 99th percentile, as often as when all is well.
	slower = 3
	// hedge is the time after which a read is tried elsewhere at the soonest: no bound is below three of it.
	hedge = 50 * time.Millisecond
	// routedRound bounds the same where nobody asked for figures to be kept (--strict): a read that waits for a target
	// takes 10 s, and the machine may be slow.
	routedRound = 3 * time.Second
	// tries is how often a bound on times may be missed.
	tries = 3
	// pauseOfEtcd is how long a leader of etcd may be missed.
	pauseOfEtcd = 10 * time.Second
	// lostAfter is when targets that are away count as lost in this run.
	lostAfter = 10 * time.Second
	// unattended bounds the time to full redundancy.
	unattended = 3 * time.Minute
)

// figures are the runs that measure what a fault costs.
type figures struct {
	c       *cluster
	m       *meter
	window  time.Duration
	healthy *figure
	rng     *rand.Rand
}

// runFigures does one fault after the other and prints a line for each.
func runFigures(ctx context.Context, o options, c *cluster) error {
	l, err := newLoad(ctx, o, c)
	if err != nil {
		return err
	}
	f := &figures{c: c, m: &meter{l: l}, window: o.length, rng: rand.New(rand.NewPCG(o.seed, 1))}
	if err := f.m.prepare(ctx, 300); err != nil {
		return err
	}
	steps := []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"all is well", f.well},
		{"a target answers EIO", func(ctx context.Context) (string, error) { return f.bad(ctx, badfs.Fault{Errno: syscall.EIO}) }},
		{"a target answers ENOSPC", func(ctx context.Context) (string, error) { return f.bad(ctx, badfs.Fault{Errno: syscall.ENOSPC}) }},
		{"a target takes 10 s a request", func(ctx context.Context) (string, error) { return f.bad(ctx, badfs.Fault{Delay: 10 * time.Second}) }},
		{"a node is killed", f.nodeKilled},
		{"the leader of etcd is killed", f.etcdKilled},
		{"every process is restarted in turn", f.rolling},
		{"every file of a target is corrupt", f.corrupt},
		{"two targets are lost", f.lost},
	}
	for _, s := range steps {
		if !strings.Contains(s.name, o.only) && s.name != "all is well" {
			continue
		}
		text, err := s.do(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		log.Printf("%-34s %s", s.name+":", text)
	}
	if err := l.verifyLedger(ctx); err != nil {
		return err
	}
	return c.checkDeep(ctx)
}

// anyone is a client of a gateway chosen by chance.
func (f *figures) anyone() *minio.Client { return f.m.l.clients[rand.IntN(len(f.m.l.clients))] }

func (f *figures) during(ctx context.Context, do func() error) (*figure, error) {
	return f.m.during(ctx, f.anyone, do)
}

func (f *figures) well(ctx context.Context) (string, error) {
	var err error
	for range 2 { // the first is for the caches and the estimates of latency
		if f.healthy, err = f.during(ctx, func() error { pause(ctx, f.window); return nil }); err != nil {
			return "", err
		}
	}
	if f.healthy.fails > 0 {
		err = fmt.Errorf("%v", f.healthy)
	}
	return f.healthy.String(), err
}

// within says that nothing failed and that reads are not much slower than when all is well.
func (f *figures) within(g *figure) error {
	bound := slower * max(f.healthy.p99, hedge)
	if !f.c.o.strict {
		bound = max(bound, routedRound)
	}
	switch {
	case g.fails > 0:
		return fmt.Errorf("requests failed: %v", g)
	case g.p99 > bound:
		return fmt.Errorf("the 99th percentile of reads is more than %v: %v", bound, g)
	}
	return nil
}

// bad makes a target of n0 fail under load.
func (f *figures) bad(ctx context.Context, fault badfs.Fault) (string, error) {
	var g *figure
	for try := 1; ; try++ {
		f.c.bad.Set(fault)
		var err error
		g, err = f.during(ctx, func() error { pause(ctx, f.window); return nil })
		f.c.bad.Set(badfs.Fault{})
		if err == nil {
			err = f.c.usable(ctx)
		}
		if err != nil {
			return "", err
		}
		if err = f.within(g); err == nil || g.fails > 0 || try == tries {
			return g.String(), err
		}
		// Others use this machine too: what they cost must not count, so both states are measured again.
		log.Printf("again, as %v", err)
		if _, err := f.well(ctx); err != nil {
			return "", err
		}
	}
}

func (f *figures) nodeKilled(ctx context.Context) (string, error) {
	n := f.c.nodes[f.rng.IntN(len(f.c.nodes))]
	g, err := f.during(ctx, func() error {
		pause(ctx, f.window/4)
		err := n.kill()
		pause(ctx, f.window/2)
		return errors.Join(err, n.start(ctx))
	})
	switch {
	case err != nil:
	case g.fails > 0:
		err = fmt.Errorf("requests failed: %v", g)
	case f.c.o.strict && g.stall > f.c.o.lease:
		err = fmt.Errorf("writes stalled for longer than the lease: %v", g)
	default:
		err = f.c.usable(ctx)
	}
	return g.String(), err
}

func (f *figures) etcdKilled(ctx context.Context) (string, error) {
	leader, err := f.c.etcdLeader()
	if err != nil {
		return "", err
	}
	g, err := f.during(ctx, func() error {
		pause(ctx, f.window/4)
		err := leader.kill()
		pause(ctx, f.window/2)
		return errors.Join(err, leader.start(ctx))
	})
	if err == nil && f.c.o.strict && g.stall > pauseOfEtcd {
		err = fmt.Errorf("writes stalled for more than %v: %v", pauseOfEtcd, g)
	}
	return g.String(), err
}

// rolling restarts everything, one process after the other, under clients that try again as SDKs do.
func (f *figures) rolling(ctx context.Context) (string, error) {
	b := &balancer{addresses: f.c.addresses}
	client, err := f.m.retrying(b)
	if err != nil {
		return "", err
	}
	g, err := f.m.during(ctx, func() *minio.Client { return client }, func() error {
		for _, p := range f.c.all {
			if err := p.stop(ctx); err != nil {
				return err
			}
			if err := errors.Join(p.start(ctx), f.c.usable(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && g.fails > 0 {
		err = fmt.Errorf("requests failed: %v", g)
	}
	requests := int64(g.reads + g.writes + g.fails)
	return fmt.Sprintf("%v; %d processes, %d requests took %d tries", g, len(f.c.all), requests, b.tries.Load()), err
}

// corrupt changes every file of a target in many places.
func (f *figures) corrupt(ctx context.Context) (string, error) {
	dir := f.c.targetDir(1, 0)
	chunks, err := f.c.chunksOf(ctx, "n1:"+dir)
	if err == nil {
		err = spoil(dir)
	}
	if err == nil {
		err = f.m.readAll(ctx)
	}
	if err != nil {
		return "", err
	}
	var scrub struct{ Chunks, Corrupt, Errors int64 }
	if err := f.c.leading(ctx, &scrub, "scrub"); err != nil {
		return "", err
	}
	queued, err := f.c.damaged(ctx)
	if err != nil {
		return "", err
	}
	begin := time.Now()
	if err := f.c.checkDeep(ctx); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d chunks; all reads right; the scrub found %d of them corrupt (%d parts were queued by then), repaired in %v",
		chunks, scrub.Corrupt, queued, time.Since(begin).Round(time.Second))
	if chunks == 0 || scrub.Corrupt == 0 {
		err = errors.New(text)
	}
	return text, err
}

// lost empties two targets of different nodes.
func (f *figures) lost(ctx context.Context) (string, error) {
	var err error
	for _, node := range []int{2, 3} {
		err = errors.Join(err, empty(f.c.targetDir(node, 0)))
	}
	begin := time.Now()
	if err == nil {
		err = f.m.readAll(ctx)
	}
	if err != nil {
		return "", err
	}
	for {
		var check struct{ Parts, Missing, Unreachable int64 }
		err := f.c.admin(ctx, 0, &check, "check") // fails with what it found as long as it finds something
		if err != nil && check.Parts == 0 {
			return "", err
		}
		if err == nil {
			return fmt.Sprintf("all reads right; full redundancy again, unattended, after %v (targets count as lost after %v)",
				time.Since(begin).Round(time.Second), lostAfter), nil
		}
		if time.Since(begin) > unattended {
			return "", fmt.Errorf("not repaired after %v: %+v", unattended, check)
		}
		pause(ctx, time.Second)
	}
}

// head is the part of an extent in which a target's health check finds damage by itself, and then nothing of the
// target is used any more.
const head = 4096

// spoil flips bits in each 4 KiB that hold something, in all files but the superblock, and not in their heads.
func spoil(dir string) error {
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(e.Name(), "superblock") {
			return err
		}
		files++
		return spoilFile(path)
	})
	if err == nil && files == 0 {
		err = fmt.Errorf("%s has no files", dir)
	}
	return err
}

func spoilFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // of this run
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 4096)
	zero := make([]byte, len(block))
	for at := int64(head); ; at += int64(len(block)) {
		// What is only reserved is passed over.
		if at, err = unix.Seek(int(file.Fd()), at, unix.SEEK_DATA); err != nil {
			return nil //nolint:nilerr // there is no more
		}
		at -= at % int64(len(block))
		n, err := file.ReadAt(block, at)
		if n == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(block[:n], zero[:n]) {
			continue
		}
		for i := 0; i < n; i += 512 {
			block[i] ^= 0x55
		}
		if _, err := file.WriteAt(block[:n], at); err != nil {
			return err
		}
	}
}

func empty(dir string) error {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// etcdLeader asks the members of the home who leads.
func (c *cluster) etcdLeader() (*process, error) {
	for i, p := range c.etcd[0].members {
		r, err := http.Post("http://"+c.etcd[0].clients[i]+"/v3/maintenance/status", "application/json", strings.NewReader("{}")) //nolint:gosec,noctx // loopback
		if err != nil {
			return nil, err
		}
		var status struct {
			Header struct {
				Member string `json:"member_id"`
			} `json:"header"`
			Leader string `json:"leader"`
		}
		err = json.NewDecoder(r.Body).Decode(&status)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		if status.Leader != "" && status.Leader == status.Header.Member {
			return p, nil
		}
	}
	return nil, errors.New("no member of etcd leads")
}
