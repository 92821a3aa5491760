package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/member"
	"github.com/weftstore/weft/cmd/weft/internal/roster"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/metadata/etcdkv"
)

const (
	// MetadataFile is the database in the state directory.
	MetadataFile = "metadata.db"
	// joinTimeout bounds the wait for etcd at the start.
	joinTimeout = 30 * time.Second
)

// Metadata is an opened database.
type Metadata struct {
	KV metadata.KV // in the home cluster
	DB *metadata.DB
	// Etcd is KV when that is shared by several gateways, Prefix that of its keys.
	Etcd   *etcdkv.DB
	Prefix string
	// Clusters are all etcd clusters that share the metadata, Etcd being the first.
	Clusters []EtcdCluster
	division cluster.Division
}

// EtcdCluster is one of the clusters that share the metadata.
type EtcdCluster struct {
	Name   string
	KV     *etcdkv.DB
	Prefix string
}

// Engines are those of the DB.
func (m *Metadata) Engines() []metadata.KV {
	list := []metadata.KV{m.KV}
	for i := 1; i < len(m.Clusters); i++ {
		list = append(list, m.Clusters[i].KV)
	}
	return list
}

// OpenMetadata opens or makes the database at path.
func OpenMetadata(path string) (*Metadata, error) {
	kv, err := boltkv.Open(path)
	if err != nil {
		return nil, err
	}
	return newMetadata(kv)
}

// OpenEtcd connects to the metadata of a deployment at an etcd:// URL, and to the clusters
// that share it. Without a prefix in a URL, it is /weft/DEPLOYMENT/.
func OpenEtcd(ctx context.Context, url string, deployment [16]byte, others cluster.Division) (_ *Metadata, err error) {
	m := &Metadata{division: others}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	opts := metadata.Options{Place: others.Place, Map: others.Number()}
	for _, c := range append(cluster.Division{{Name: cluster.HomeCluster, URL: url}}, others...) {
		kv, prefix, err := member.Connect(ctx, c.URL, deployment)
		if err != nil {
			return nil, fmt.Errorf("etcd cluster %s: %w", c.Name, err)
		}
		if m.Clusters = append(m.Clusters, EtcdCluster{c.Name, kv, prefix}); m.Etcd == nil {
			m.KV, m.Etcd, m.Prefix = kv, kv, prefix
		} else {
			opts.More = append(opts.More, kv)
		}
	}
	m.DB, err = metadata.New(m.KV, opts)
	return m, err
}

// Enter makes sure that the clusters are those of the division and of the deployment.
func (m *Metadata) Enter(ctx context.Context, deployment [16]byte) error {
	for _, c := range m.Clusters {
		if err := member.Enter(ctx, c.place(), deployment, m.division); err != nil {
			return err
		}
	}
	return nil
}

// Whole refuses to take some of the clusters for all.
func (m *Metadata) Whole(ctx context.Context) error {
	return member.Whole(ctx, m.Clusters[0].place(), m.division)
}

func (c *EtcdCluster) place() member.Place {
	return member.Place{Name: c.Name, Client: c.KV.Client(), Prefix: c.Prefix}
}

func newMetadata(kv metadata.KV) (*Metadata, error) {
	db, err := metadata.New(kv, metadata.Options{})
	if err != nil {
		return nil, errors.Join(err, kv.Close())
	}
	return &Metadata{KV: kv, DB: db}, nil
}

// Close closes the database.
func (m *Metadata) Close() error {
	var errs []error
	for i := len(m.Clusters) - 1; i > 0; i-- {
		errs = append(errs, m.Clusters[i].KV.Close())
	}
	if m.KV != nil {
		errs = append(errs, m.KV.Close())
	}
	return errors.Join(errs...)
}

// Exists says whether the state directory has a database.
func Exists(d *statedir.Dir) bool {
	_, err := os.Stat(d.Path(MetadataFile))
	return !errors.Is(err, os.ErrNotExist)
}

// openMetadata opens what the configuration names, and joins the other gateways when
// that is etcd.
func (p *Process) openMetadata(ctx context.Context, cfg *ProcessConfig) (err error) {
	url := cfg.MetadataURL()
	if url == "" {
		p.meta, err = OpenMetadata(p.state.Path(MetadataFile))
		return err
	}
	if Exists(p.state) {
		return fmt.Errorf("%s holds metadata and the configuration says %s: move it there with "+
			"`weft admin metadata migrate`, or the file out of the way", p.state.Path(MetadataFile), "etcd")
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	if p.meta, err = OpenEtcd(ctx, url, cfg.Cluster.Deployment, cfg.Cluster.Division); err != nil {
		return err
	}
	err = member.Persist(ctx, cfg.Logger, func(ctx context.Context) error {
		if err := p.meta.Enter(ctx, cfg.Cluster.Deployment); err != nil {
			return err
		}
		if err := member.Agree(ctx, p.meta.Clusters[0].place(), cfg.Cluster.Division); err != nil {
			return err
		}
		return p.meta.DB.UseMap(ctx)
	})
	if err != nil {
		return err
	}
	if p.member, err = p.meta.join(ctx, cfg); err != nil {
		return err
	}
	if err := p.agreeKeyring(ctx, cfg); err != nil {
		return err
	}
	return member.Agreed(ctx, p.meta.Clusters[0].place(), cfg.Cluster.Division)
}

// join registers the gateway in all clusters.
func (m *Metadata) join(ctx context.Context, cfg *ProcessConfig) (_ *member.Group, err error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	name := cfg.Name
	if name == "" {
		name = host
	}
	ring, err := readKeyring(cfg.keyring())
	if err != nil {
		return nil, err
	}
	info := member.Info{Kind: member.Gateway, Name: name, Host: host, Address: cfg.Address, Started: time.Now().UTC(), Keyring: ring.Seals()}
	var list []*member.Member
	for _, c := range m.Clusters {
		one, err := member.Join(ctx, member.Config{
			Client: c.KV.Client(), Prefix: c.Prefix, Deployment: cfg.Cluster.Deployment, TTL: cfg.TTL, Logger: cfg.Logger, Info: info,
		})
		if err != nil {
			for _, other := range list {
				err = errors.Join(err, other.Close())
			}
			return nil, fmt.Errorf("etcd cluster %s: %w", c.Name, err)
		}
		list = append(list, one)
	}
	return member.NewGroup(list[0], list[1:]...), nil
}

// openRoster replaces the nodes of the cluster file by those of the map in etcd.
func (p *Process) openRoster(ctx context.Context, cfg *ProcessConfig) (err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	p.roster, err = roster.Open(ctx, p.meta.Etcd.Client(), p.meta.Prefix, cfg.Cluster, cfg.Logger)
	if err != nil {
		return err
	}
	nodes, err := p.roster.Nodes(ctx)
	if err == nil {
		cfg.Cluster, err = cfg.Cluster.WithNodes(nodes)
	}
	return err
}
