package roster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
)

// Has is what a node tells of one target.
type Has struct {
	Dir   string `json:"dir"`
	UUID  string `json:"uuid"`
	State string `json:"state"`
	Total uint64 `json:"total"` // bytes
	Free  uint64 `json:"free"`
}

// Listed is a node of the map with what it tells while it lives.
type Listed struct {
	cluster.Node
	Alive bool  `json:"alive"` // its lease is valid
	Has   []Has `json:"has,omitempty"`
}

// Tell writes what a node has, under its lease.
func (r *Roster) Tell(ctx context.Context, m *member.Member, name string, has []Has) error {
	b, err := json.Marshal(has)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Publish(ctx, keyHas+name, string(b))
}

// List is the map with what the nodes told last.
func (r *Roster) List(ctx context.Context) ([]Listed, error) {
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	told, err := r.told(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(nodes))
	for i, n := range nodes {
		has, alive := told[n.Name]
		list[i] = Listed{n, alive, has}
	}
	return list, nil
}

// told is what the nodes that live told last, by their names.
func (r *Roster) told(ctx context.Context) (map[string][]Has, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := r.client.Get(ctx, r.prefix+keyHas, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("state of the nodes: %w", err)
	}
	told := map[string][]Has{}
	for _, kv := range resp.Kvs {
		var has []Has
		if err := json.Unmarshal(kv.Value, &has); err != nil {
			return nil, fmt.Errorf("state of the nodes: %s: %w", kv.Key, err)
		}
		told[strings.TrimPrefix(string(kv.Key), r.prefix+keyHas)] = has
	}
	return told, nil
}
