package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// homeMembers is how many members the home has, which has most to lose; other clusters have one.
const homeMembers = 3

// etcdCluster is one of the etcd clusters that share the metadata by bucket.
type etcdCluster struct {
	name    string
	members []*process
	clients []string // addresses
}

func (e *etcdCluster) url() string { return "etcd://" + strings.Join(e.clients, ",") + "/test" }

// bucket is the one that the load has there.
func (e *etcdCluster) bucket() string { return "in-" + e.name }

// members are those of all clusters.
func (c *cluster) members() (list []*process) {
	for _, e := range c.etcd {
		list = append(list, e.members...)
	}
	return list
}

// addEtcd makes one more cluster, first the home.
func (c *cluster) addEtcd() error {
	e, n := &etcdCluster{name: "etcd"}, homeMembers
	if len(c.etcd) > 0 {
		e.name, n = fmt.Sprintf("etcd-%c", 'a'+len(c.etcd)-1), 1
	}
	c.etcd = append(c.etcd, e)
	var peers, list []string
	var places []place
	for i := range n {
		at, err := c.place(fmt.Sprint(e.name, i))
		if err != nil {
			return err
		}
		client, err := at.listen(2379)
		if err != nil {
			return err
		}
		peer, err := at.listen(2380)
		if err != nil {
			return err
		}
		places, e.clients, peers = append(places, at), append(e.clients, client), append(peers, peer)
		list = append(list, fmt.Sprintf("e%d=http://%s", i, peer))
	}
	for i := range n {
		name, url, peer := fmt.Sprint(e.name, i), "http://"+e.clients[i], "http://"+peers[i]
		e.members = append(e.members, c.add(places[i], name, answersOK(url+"/health"), nil,
			"etcd", "--name", fmt.Sprint("e", i), "--data-dir", filepath.Join(c.dir, name),
			"--listen-client-urls", url, "--advertise-client-urls", url,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(list, ",")))
	}
	return nil
}

// outages are the faults in which one of several etcd clusters is away whole.
func (l *load) outages() (list []fault) {
	if len(l.c.etcd) == 1 {
		return nil
	}
	for i, e := range l.c.etcd {
		all := func(do func(*process) error) error {
			results := make(chan error, len(e.members))
			for _, p := range e.members { // they wait for each other
				go func() { results <- do(p) }()
			}
			var err error
			for range e.members {
				err = errors.Join(err, <-results)
			}
			return err
		}
		hold := func(ctx context.Context) error { return l.holdOut(ctx, i) }
		list = append(list,
			fault{name: "outage: kill " + e.name, hold: hold,
				begin: func() error { return all((*process).kill) },
				end: func(ctx context.Context) error {
					defer l.away.Store(0)
					return all(func(p *process) error { return p.start(ctx) })
				}},
			fault{name: "outage: freeze " + e.name, hold: hold,
				begin: func() error { return all((*process).freeze) },
				end: func(context.Context) error {
					defer l.away.Store(0)
					return all((*process).thaw)
				}})
	}
	return list
}

// holdOut waits until every gateway has answered 503 for the bucket of the cluster that is away, and for what needs all
// clusters. Until then no other answer may come, and the other buckets must be written and read.
func (l *load) holdOut(ctx context.Context, away int) error {
	l.away.Store(int64(away + 1))
	begin := time.Now()
	for i, gw := range l.clients {
		for gone := false; !gone; pause(ctx, 100*time.Millisecond) {
			for n := range l.buckets {
				if n != away {
					if err := l.serves(ctx, i, n, patience); err != nil {
						return fmt.Errorf("while another etcd cluster is away: %w", err)
					}
					continue
				}
				err := l.writeAndRead(ctx, gw, l.fresh(n))
				if err == nil {
					return fmt.Errorf("%s was written and read through gw%d while its etcd cluster is away", l.buckets[n], i)
				}
				gone = minio.ToErrorResponse(err).StatusCode == http.StatusServiceUnavailable
			}
			if !gone && time.Since(begin) > time.Minute {
				return fmt.Errorf("gw%d does not answer 503 for bucket %s", i, l.buckets[away])
			}
		}
		if _, err := gw.ListBuckets(ctx); minio.ToErrorResponse(err).StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("ListBuckets through gw%d while an etcd cluster is away: %v", i, err)
		}
	}
	log.Printf("every gateway answers 503 for %s after %v, the other buckets go on", l.buckets[away], time.Since(begin).Round(time.Second))
	return nil
}

// fresh is a key of the ledger that nobody else writes.
func (l *load) fresh(bucket int) string { return fmt.Sprint(l.ledger(bucket), "fresh/", l.next.Add(1)) }

// serves waits until a bucket is written and read through a gateway. A gateway that holds no lease of one etcd
// cluster is ready, for the buckets of the others.
func (l *load) serves(ctx context.Context, gateway, bucket int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := l.writeAndRead(ctx, l.clients[gateway], l.fresh(bucket))
		if err == nil || l.failed() != nil {
			return err
		}
		if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("%s through gw%d within %v: %w", l.buckets[bucket], gateway, limit, err)
		}
	}
}

// writeAndRead enters a key of the ledger and reads it.
func (l *load) writeAndRead(ctx context.Context, gw *minio.Client, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.enter(ctx, gw, key); err != nil {
		return err
	}
	_, err := l.get(ctx, gw, key)
	return err
}
