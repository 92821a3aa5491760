package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
)

// MetadataState is what the gateway knows of one of the etcd clusters of the metadata.
type MetadataState struct {
	Name    string   `json:"name"`
	Buckets []string `json:"buckets,omitempty"` // patterns of those that are made there
	Error   string   `json:"error,omitempty"`   // why it does not answer
	etcdkv.Stats
}

// stateTimeout bounds the question to a cluster.
const stateTimeout = 3 * time.Second

// State asks each cluster for a key; none without etcd.
func (m *Metadata) State(ctx context.Context) []MetadataState {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	list := make([]MetadataState, len(m.Clusters))
	var asked sync.WaitGroup
	for i := range m.Clusters {
		c, s := &m.Clusters[i], &list[i]
		asked.Go(func() {
			s.Name, s.Stats = c.Name, c.KV.Stats()
			if i > 0 {
				s.Buckets = m.division[i-1].Buckets
			}
			err := c.KV.View(ctx, func(r metadata.Reader) error { _, err := r.Get([]byte{0}); return err })
			if err != nil {
				s.Error = err.Error()
			}
		})
	}
	asked.Wait()
	return list
}

func (m *Metadata) metrics() []metrics.MetadataCluster {
	list := make([]metrics.MetadataCluster, len(m.Clusters))
	for i, c := range m.Clusters {
		list[i] = metrics.MetadataCluster{Name: c.Name, Stats: c.KV.Stats()}
	}
	return list
}

// Seal closes the clusters to members (member.Close); Enter is done before.
func (m *Metadata) Seal(ctx context.Context, deployment [16]byte, why string) (seals Seals, err error) {
	if err := m.Enter(ctx, deployment); err != nil {
		return nil, err
	}
	for _, c := range m.Clusters {
		s, err := member.Close(ctx, c.KV.Client(), c.Prefix, deployment, why)
		if err != nil {
			for _, s := range seals {
				if !s.Again() {
					err = errors.Join(err, s.Open(ctx))
				}
			}
			return nil, fmt.Errorf("etcd cluster %s: %w", c.Name, err)
		}
		seals = append(seals, s)
	}
	return seals, nil
}

// Seals are those of all clusters, the home first.
type Seals []*member.Seal

// Again says that all were closed before for the same reason.
func (l Seals) Again() bool {
	return !slices.ContainsFunc(l, func(s *member.Seal) bool { return !s.Again() })
}

// Open lets members in, at last in the home.
func (l Seals) Open(ctx context.Context) error {
	for _, s := range slices.Backward(l) {
		if err := s.Open(ctx); err != nil {
			return err
		}
	}
	return nil
}
