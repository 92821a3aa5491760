package member

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
)

// Keys that say which of several etcd clusters this is, and, in the home, how they share
// the buckets.
const (
	keyCluster = "c/cluster"
	keyMap     = "c/map"
)

// Place is where a cluster keeps its keys.
type Place struct {
	Name   string // cluster.HomeCluster, or that of another
	Client *clientv3.Client
	Prefix string
}

// Enter makes a cluster the deployment's, and the one of its name in a division of the
// metadata, for good. It refuses one that is another's, and a home alone when others share
// with it.
func Enter(ctx context.Context, p Place, deployment [16]byte, d cluster.Division) error {
	if err := (&Member{client: p.Client, prefix: p.Prefix, ttl: DefaultTTL}).belong(ctx, deployment); err != nil {
		return err
	}
	name, key := p.Name, p.Prefix+keyCluster
	cond := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	do := clientv3.OpPut(key, name)
	if len(d) == 0 {
		do = clientv3.OpGet(p.Prefix+keyMap, clientv3.WithCountOnly()) // nothing is written for a home alone
	}
	resp, err := p.Client.Txn(ctx).If(cond).Then(do).Else(clientv3.OpGet(key), clientv3.OpGet(p.Prefix+keyMap)).Commit()
	if err != nil {
		return fmt.Errorf("etcd cluster %q: which one it is: %w", name, err)
	}
	if resp.Succeeded {
		return nil
	}
	if have := string(resp.Responses[0].GetResponseRange().Kvs[0].Value); have != name {
		return fmt.Errorf("the etcd cluster that is configured as %q is %q: name each with its own URL", name, have)
	}
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 && len(d) == 0 {
		return lacks(kvs[0].Value, d)
	}
	return nil
}

// Whole refuses a division that lacks clusters with which the home shares the metadata:
// who reads all of it would miss what they have.
func Whole(ctx context.Context, home Place, d cluster.Division) error {
	resp, err := home.Client.Get(ctx, home.Prefix+keyMap)
	if err != nil {
		return fmt.Errorf("map of the metadata clusters: %w", err)
	}
	if len(resp.Kvs) == 0 {
		return nil
	}
	return lacks(resp.Kvs[0].Value, d)
}

// lacks is an error when the clusters of an older map are not all in a division.
func lacks(old []byte, d cluster.Division) error {
	var was cluster.Division
	if err := json.Unmarshal(old, &was); err != nil {
		return fmt.Errorf("map of the metadata clusters in etcd: %w", err)
	}
	var missing []string
	for _, c := range was {
		if !slices.ContainsFunc(d, func(n cluster.MetadataCluster) bool { return n.Name == c.Name }) {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("metadata-cluster %s has buckets, and is not in the cluster file: it is left out only after "+
			"`weft admin metadata migrate` moved all metadata to other clusters", strings.Join(missing, ", "))
	}
	return nil
}

// Agree enters how clusters share the buckets in the home. It may be changed while no
// gateway is registered; with another one than theirs it is refused.
func Agree(ctx context.Context, home Place, d cluster.Division) error {
	if len(d) == 0 {
		return nil
	}
	key, want := home.Prefix+keyMap, d.Map()
	for {
		resp, err := home.Client.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("map of the metadata clusters: %w", err)
		}
		var rev int64
		if len(resp.Kvs) > 0 {
			if string(resp.Kvs[0].Value) == want {
				return nil
			}
			if err := lacks(resp.Kvs[0].Value, d); err != nil {
				return err
			}
			rev = resp.Kvs[0].ModRevision
		}
		list, err := (&Member{client: home.Client, prefix: home.Prefix}).Peers(ctx)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Kind == Gateway {
				return fmt.Errorf("the [[metadata-cluster]] of the cluster file are others than those with which gateway %s on host %s runs: "+
					"make the files alike, or stop all gateways to change them", p.Name, p.Host)
			}
		}
		done, err := home.Client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", rev)).Then(clientv3.OpPut(key, want)).Commit()
		if err != nil {
			return fmt.Errorf("map of the metadata clusters: %w", err)
		}
		if done.Succeeded {
			return nil
		}
	}
}

// Agreed looks again, when this process is registered: from then on nobody changes the map.
func Agreed(ctx context.Context, home Place, d cluster.Division) error {
	if len(d) == 0 {
		return nil
	}
	resp, err := home.Client.Get(ctx, home.Prefix+keyMap)
	if err != nil {
		return fmt.Errorf("map of the metadata clusters: %w", err)
	}
	if len(resp.Kvs) == 0 || string(resp.Kvs[0].Value) != d.Map() {
		return fmt.Errorf("another gateway started at the same time with other [[metadata-cluster]]: make the cluster files alike and start again")
	}
	return nil
}
