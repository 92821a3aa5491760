package metasize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
)

// object is as S3 clients make them: a key of 43 bytes, a content type, MD5 and CRC-64/NVME, one part.
func object(db *metadata.DB, o *Config, i int64) *metadata.Version {
	l := o.Layout
	id := db.NewVersionID()
	now := time.Now()
	v := &metadata.Version{
		Key: fmt.Sprintf("project/dataset/part-%06d/file-%06d.bin", i/1000, i), ID: id, Size: 1 << 20, Modified: now,
		MD5: [16]byte(id), Headers: map[string]string{"Content-Type": "application/octet-stream"},
		Digest: metadata.Digest{Algorithm: checksum.CRC64NVME, Type: checksum.FullObject, Sum: id[:8]},
	}
	v.Inline = &metadata.Part{
		Number: 1, Set: metadata.SetID(id), K: l.K, M: l.M, Block: 256 << 10, Size: v.Size, MD5: v.MD5, Digest: v.Digest, Modified: now,
	}
	for t := range l.Shards() {
		v.Inline.Targets = append(v.Inline.Targets, metadata.TargetID(1+(i+int64(t))%64))
	}
	return v
}

// Etcd measures one member of etcd, which should have nothing else: its file is looked at, compacted and defragmented.
func Etcd(ctx context.Context, o *Config, url string) error {
	cfg, err := etcdkv.ParseURL(url)
	if err != nil {
		return err
	}
	kv, err := etcdkv.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(etcd(ctx, o, kv, cfg.Endpoints[0]), kv.Close())
}

func etcd(ctx context.Context, o *Config, kv *etcdkv.DB, addr string) error {
	db, err := newDB(ctx, o, kv)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func() (time.Duration, error)
	}{
		{"put", func() (time.Duration, error) { return fill(ctx, o, db, 1) }},
		{"compacted", func() (time.Duration, error) { return 0, compact(ctx, kv.Client()) }},
		{"defragmented", func() (time.Duration, error) { return 0, defragment(ctx, kv.Client(), addr) }},
		{"every tenth put again", func() (time.Duration, error) { return fill(ctx, o, db, 10) }},
	} {
		took, err := step.do()
		if err != nil {
			return err
		}
		st, err := kv.Client().Status(ctx, addr)
		if err != nil {
			return err
		}
		o.print(Figure{Engine: "etcd", What: step.what + ", file", Bytes: st.DbSize, Seconds: took.Seconds()})
		o.print(Figure{Engine: "etcd", What: step.what + ", in use", Bytes: st.DbSizeInUse})
	}
	return nil
}

// compact forgets every revision but the last.
func compact(ctx context.Context, c *clientv3.Client) error {
	r, err := c.Get(ctx, "none")
	if err != nil {
		return err
	}
	_, err = c.Compact(ctx, r.Header.Revision, clientv3.WithCompactPhysical())
	return err
}

func defragment(ctx context.Context, c *clientv3.Client, addr string) error {
	_, err := c.Defragment(ctx, addr)
	return err
}
