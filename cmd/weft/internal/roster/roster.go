package roster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
)

const (
	keyNodes = "c/nodes"
	keyNode  = "c/node/"
	keyHas   = "c/has/"

	callTimeout = 5 * time.Second
	again       = time.Second // after a watch that broke
)

// Roster is the map of one store.
type Roster struct {
	client *clientv3.Client
	prefix string
	file   *cluster.File
	log    *slog.Logger
}

// record is a node as it is stored.
type record struct {
	cluster.Node
	Removed bool `json:"removed,omitempty"`
}

// Open enters the nodes of the file that the map has never had. It waits for etcd until ctx ends.
func Open(ctx context.Context, client *clientv3.Client, prefix string, file *cluster.File, log *slog.Logger) (*Roster, error) {
	r := &Roster{client: client, prefix: prefix, file: file, log: log}
	err := member.Persist(ctx, log, func(ctx context.Context) error {
		return r.change(ctx, func(m map[string]*record) (changed []*record, err error) {
			for i := range file.Nodes {
				n := &file.Nodes[i]
				if m[n.Name] == nil {
					changed = append(changed, &record{Node: *n})
				}
			}
			return changed, nil
		})
	})
	return r, err
}

// read is the map at one revision; all of it, removed nodes too.
func (r *Roster) read(ctx context.Context) (m map[string]*record, nodes, now int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := r.client.Txn(ctx).Then(clientv3.OpGet(r.prefix+keyNode, clientv3.WithPrefix()), clientv3.OpGet(r.prefix+keyNodes)).Commit()
	if err != nil {
		return nil, 0, 0, fmt.Errorf("cluster map: %w", err)
	}
	m = map[string]*record{}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		n := new(record)
		if err := json.Unmarshal(kv.Value, n); err != nil {
			return nil, 0, 0, fmt.Errorf("cluster map: %s: %w", kv.Key, err)
		}
		n.Name = strings.TrimPrefix(string(kv.Key), r.prefix+keyNode)
		m[n.Name] = n
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		nodes = kvs[0].ModRevision
	}
	return m, nodes, resp.Header.Revision, nil
}

// change writes what edit returns, in one transaction with the map that edit saw.
func (r *Roster) change(ctx context.Context, edit func(map[string]*record) ([]*record, error)) error {
	for {
		m, nodes, _, err := r.read(ctx)
		if err != nil {
			return err
		}
		changed, err := edit(m)
		if err != nil || len(changed) == 0 {
			return err
		}
		ops := []clientv3.Op{clientv3.OpPut(r.prefix+keyNodes, "")}
		for _, n := range changed {
			m[n.Name] = n
			b, err := json.Marshal(n)
			if err != nil {
				return err
			}
			ops = append(ops, clientv3.OpPut(r.prefix+keyNode+n.Name, string(b)))
		}
		if _, err := r.file.WithNodes(present(m)); err != nil {
			return err
		}
		if err := r.commit(ctx, nodes, ops); !errors.Is(err, errOther) {
			return err
		}
	}
}

var errOther = errors.New("another change came first")

// maxOps is how many puts etcd takes in one transaction by default, with one to spare.
const maxOps = 120

// commit writes in one transaction, or, when there is more than it holds, in several: then the nodes appear one
// after the other.
func (r *Roster) commit(ctx context.Context, nodes int64, ops []clientv3.Op) error {
	for len(ops) > 0 {
		some := ops[:min(len(ops), maxOps)]
		ops = ops[len(some):]
		if len(ops) > 0 {
			ops = append([]clientv3.Op{clientv3.OpPut(r.prefix+keyNodes, "")}, ops...)
		}
		call, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := r.client.Txn(call).If(clientv3.Compare(clientv3.ModRevision(r.prefix+keyNodes), "=", nodes)).Then(some...).Commit()
		cancel()
		if err != nil {
			return fmt.Errorf("cluster map: %w", err)
		}
		if !resp.Succeeded {
			return errOther
		}
		nodes = resp.Header.Revision
	}
	return nil
}

// present are the nodes that were not removed, by name.
func present(m map[string]*record) (list []cluster.Node) {
	for _, n := range m {
		if !n.Removed {
			list = append(list, n.Node)
		}
	}
	slices.SortFunc(list, func(a, b cluster.Node) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Nodes are those of the map, by name.
func (r *Roster) Nodes(ctx context.Context) ([]cluster.Node, error) {
	m, _, _, err := r.read(ctx)
	return present(m), err
}

// Set enters nodes, in place of those of the same name, which keep their takeover when it names nobody. A node that
// runs and has none gets none: it would go on serving its targets without holding them.
func (r *Roster) Set(ctx context.Context, list []cluster.Node) error {
	told, err := r.told(ctx)
	if err != nil {
		return err
	}
	return r.change(ctx, func(m map[string]*record) (changed []*record, err error) {
		for _, n := range list {
			if was := m[n.Name]; was != nil && len(was.Takeover) > 0 && len(n.Takeover) == 0 {
				n.Takeover = was.Takeover
			} else if _, runs := told[n.Name]; runs && was != nil && len(was.Takeover) == 0 && len(n.Takeover) > 0 {
				return nil, fmt.Errorf("node %s runs and serves its targets as nobody else can: stop it, enter the takeover, and start it again", n.Name)
			}
			changed = append(changed, &record{Node: n})
		}
		return changed, nil
	})
}

// Edit changes a node. Its error ends the change.
func (r *Roster) Edit(ctx context.Context, name string, edit func(*cluster.Node) error) error {
	return r.change(ctx, func(m map[string]*record) ([]*record, error) {
		n := m[name]
		if n == nil || n.Removed {
			return nil, fmt.Errorf("the cluster map has no node %q: `weft admin node list` shows it", name)
		}
		n.Targets, n.Addresses = slices.Clone(n.Targets), slices.Clone(n.Addresses)
		return []*record{n}, edit(&n.Node)
	})
}

// Remove takes a node out of the map.
func (r *Roster) Remove(ctx context.Context, name string) error {
	return r.change(ctx, func(m map[string]*record) ([]*record, error) {
		if m[name] == nil || m[name].Removed {
			return nil, nil
		}
		changed := []*record{{Node: cluster.Node{Name: name}, Removed: true}}
		for _, n := range m { // that it would take over from
			if i := slices.Index(n.Takeover, name); i >= 0 && !n.Removed {
				n.Takeover = slices.Delete(slices.Clone(n.Takeover), i, i+1)
				changed = append(changed, n)
			}
		}
		return changed, nil
	})
}

// Watch tells the map, and again whenever it has changed, until ctx ends.
func (r *Roster) Watch(ctx context.Context, tell func([]cluster.Node)) {
	for ctx.Err() == nil {
		if err := r.watch(ctx, tell); err != nil && ctx.Err() == nil {
			r.log.Debug("cluster map is not watched; trying again", "err", err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

func (r *Roster) watch(ctx context.Context, tell func([]cluster.Node)) error {
	m, _, now, err := r.read(ctx)
	if err != nil {
		return err
	}
	tell(present(m))
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for ev := range r.client.Watch(ctx, r.prefix+keyNodes, clientv3.WithRev(now+1)) {
		if err := ev.Err(); err != nil {
			return err
		}
		if m, _, _, err = r.read(ctx); err != nil {
			return err
		}
		tell(present(m))
	}
	return ctx.Err()
}
