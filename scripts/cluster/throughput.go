package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/internal/freeport"
)

// side is one way to serve the same objects: which processes, and where they take requests.
type side struct {
	name      string
	addresses []string
	processes []*process
	loaders   int // concurrent requests, shared out among addresses
}

// work is one kind of request, of objects of a size.
type work struct {
	name string
	size int
	put  bool
}

var works = []work{{"get 1 MiB", 1 << 20, false}, {"put 1 MiB", 1 << 20, true}, {"get 4 KiB", 4 << 10, false}, {"put 4 KiB", 4 << 10, true}}

const objects = 64 // that are read

// runThroughput compares what a CPU second of all server processes does: one process that is everything, one gateway over
// the nodes and etcd, and all gateways over them: with as many requests at a time in all as the one has, and with as many
// each. Sides take turns in rounds.
func runThroughput(ctx context.Context, o options, c *cluster) error {
	single, err := c.single(ctx)
	if err != nil {
		return err
	}
	below := slices.Concat(c.nodes, c.members())
	sides := []*side{
		single,
		{"1 gateway", c.addresses[:1], append(slices.Clone(below), c.gateways[0]), o.loaders},
	}
	for _, loaders := range []int{o.loaders, o.loaders * len(c.gateways)} { // in all, and each
		name := fmt.Sprintf("%d gateways, %d", len(c.gateways), loaders)
		sides = append(sides, &side{name, c.addresses, slices.Concat(below, c.gateways), loaders})
	}
	for _, w := range works {
		if !strings.HasPrefix(w.name, o.only) {
			continue
		}
		rates := make([][]float64, len(sides))
		for range o.rounds {
			for i, s := range sides {
				n, used, took, err := s.measure(ctx, c, w, o.length)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, w.name, err)
				}
				cpu := used.sum()
				log.Printf("%-10s %-16s %6d requests in %5.1f s, %6.2f CPU s, %8.1f a CPU s; µs of one: %s", w.name, s.name, n, took.Seconds(), cpu, float64(n)/cpu, used.each(n))
				rates[i] = append(rates[i], float64(n)/cpu)
			}
		}
		for i, s := range sides {
			log.Printf("%-10s %-16s median %8.1f a CPU s: %.2f of one process, %.2f of 1 gateway", w.name, s.name,
				median(rates[i]), median(rates[i])/median(rates[0]), median(rates[i])/median(rates[1]))
		}
	}
	return nil
}

func median(list []float64) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

// single starts `weft server` with as many targets and the same layout.
func (c *cluster) single(ctx context.Context) (*side, error) {
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	args := []string{c.o.weft, "server", "--layout", "ec:2+2", "--address", addr, "--memory", "384MiB", "--state", filepath.Join(c.dir, "single")}
	for i := range c.o.nodes * c.o.each {
		args = append(args, filepath.Join(c.dir, "single-targets", strconv.Itoa(i)))
	}
	env := []string{"WEFT_ROOT_ACCESS_KEY=" + c.access, "WEFT_ROOT_SECRET_KEY=" + c.secret}
	p := c.add(place{space: -1}, "single", answersOK("http://"+addr+"/healthz/ready"), env, args...)
	return &side{"one process", []string{addr}, []*process{p}, c.o.loaders}, p.start(ctx)
}

func (s *side) clients(c *cluster) (list []*minio.Client, err error) {
	for _, addr := range s.addresses {
		client, err := minio.New(addr, &minio.Options{
			Creds: credentials.NewStaticV4(c.access, c.secret, ""), Region: "us-east-1",
			Transport: &http.Transport{MaxIdleConnsPerHost: s.loaders, DisableCompression: true}, MaxRetries: 1,
		})
		if err != nil {
			return nil, err
		}
		list = append(list, client)
	}
	return list, nil
}

// measure does the work for a while: how many requests, and the CPU seconds of the servers.
func (s *side) measure(ctx context.Context, c *cluster, w work, length time.Duration) (n int64, used cpuTime, took time.Duration, err error) {
	clients, err := s.clients(c)
	if err != nil {
		return 0, nil, 0, err
	}
	name := fmt.Sprintf("throughput-%d", w.size)
	if err := clients[0].MakeBucket(ctx, name, minio.MakeBucketOptions{}); err != nil && minio.ToErrorResponse(err).Code != "BucketAlreadyOwnedByYou" {
		return 0, nil, 0, err
	}
	body := make([]byte, w.size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body) // never fails
	put := func(client *minio.Client, key string) error {
		_, err := client.PutObject(ctx, name, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{DisableMultipart: true})
		return err
	}
	for i := range objects {
		if err := put(clients[0], "o"+strconv.Itoa(i)); err != nil {
			return 0, nil, 0, err
		}
	}
	before, err := s.cpu()
	if err != nil {
		return 0, nil, 0, err
	}
	begin := time.Now()
	var done atomic.Int64
	errs := make([]error, s.loaders)
	var wg sync.WaitGroup
	for i := range s.loaders {
		client := clients[i%len(clients)]
		wg.Go(func() {
			for errs[i] == nil && time.Since(begin) < length {
				key := "o" + strconv.Itoa(rand.IntN(objects))
				if w.put {
					errs[i] = put(client, "p"+strconv.Itoa(i)+key)
				} else {
					errs[i] = read(ctx, client, name, key, w.size)
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took = time.Since(begin)
	after, err := s.cpu()
	for kind := range after {
		after[kind] -= before[kind]
	}
	return done.Load(), after, took, errors.Join(append(errs, err)...)
}

func read(ctx context.Context, client *minio.Client, bucket, key string, size int) error {
	core := minio.Core{Client: client}
	body, _, _, err := core.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, body)
	if err == nil && n != int64(size) {
		err = fmt.Errorf("%d bytes of %d", n, size)
	}
	return errors.Join(err, body.Close())
}

// cpuTime is in seconds, by the kind of process.
type cpuTime map[string]float64

func (t cpuTime) sum() (total float64) {
	for _, s := range t {
		total += s
	}
	return total
}

// each is what one of n requests takes.
func (t cpuTime) each(n int64) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		list = append(list, fmt.Sprintf("%s %.0f", kind, t[kind]*1e6/float64(n)))
	}
	return strings.Join(list, ", ")
}

// cpu is what the processes have used so far.
func (s *side) cpu() (cpuTime, error) {
	const ticks = 100 // a second, of /proc
	used := cpuTime{}
	for _, p := range s.processes {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return nil, err
		}
		kind := strings.TrimRight(p.name, "0123456789")
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, at := range []int{11, 12} { // utime and stime, of which 11 come before
			n, err := strconv.ParseFloat(fields[at], 64)
			if err != nil {
				return nil, err
			}
			used[kind] += n / ticks
		}
	}
	return used, nil
}
