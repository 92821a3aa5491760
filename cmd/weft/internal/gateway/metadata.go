package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

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
	KV metadata.KV
	DB *metadata.DB
	// Etcd is KV when that is shared by several gateways, Prefix that of its keys.
	Etcd   *etcdkv.DB
	Prefix string
}

// OpenMetadata opens or makes the database at path.
func OpenMetadata(path string) (*Metadata, error) {
	kv, err := boltkv.Open(path)
	if err != nil {
		return nil, err
	}
	return newMetadata(kv)
}

// OpenEtcd connects to the metadata of a deployment at an etcd:// URL. Without a prefix
// in it, it is /weft/DEPLOYMENT/.
func OpenEtcd(ctx context.Context, url string, deployment [16]byte) (*Metadata, error) {
	kv, prefix, err := member.Connect(ctx, url, deployment)
	if err != nil {
		return nil, err
	}
	m, err := newMetadata(kv)
	if err == nil {
		m.Etcd, m.Prefix = kv, prefix
	}
	return m, err
}

func newMetadata(kv metadata.KV) (*Metadata, error) {
	db, err := metadata.New(kv, metadata.Options{})
	if err != nil {
		return nil, errors.Join(err, kv.Close())
	}
	return &Metadata{KV: kv, DB: db}, nil
}

// Close closes the database.
func (m *Metadata) Close() error { return m.KV.Close() }

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
	if p.meta, err = OpenEtcd(ctx, url, cfg.Cluster.Deployment); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	name := cfg.Name
	if name == "" {
		name = host
	}
	p.member, err = member.Join(ctx, member.Config{
		Client: p.meta.Etcd.Client(), Prefix: p.meta.Prefix, Deployment: cfg.Cluster.Deployment, TTL: cfg.TTL, Logger: cfg.Logger,
		Info: member.Info{Kind: member.Gateway, Name: name, Host: host, Address: cfg.Address, Started: time.Now().UTC()},
	})
	return err
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
