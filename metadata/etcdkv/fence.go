package etcdkv

import "context"

// Fence is a key that must be there for a commit to happen, as it was created: that of
// a lease, for instance. It is compared in the commit's own transaction, so that there
// is no instant between the look and the deed.
type Fence struct {
	Cluster uint64 // id of the etcd cluster that has the key, and the DB
	Prefix  string // Config.Prefix of the DB whose commits it fences
	Key     string // the whole key, not below Prefix
	Created int64  // its create revision; 0 is a fence that is down
}

// fenceKey is where a context has the fence of a DB; the zero one says that there is any.
type fenceKey struct {
	cluster uint64
	prefix  string
}

// WithFence makes Updates with the context fail with metadata.ErrFenced, and commit
// nothing, when the fence's key is gone or was created anew. A context may have the fences
// of several DBs; Updates of one of which it has none fail then.
func WithFence(ctx context.Context, f Fence) context.Context {
	if ctx.Value(fenceKey{}) == nil {
		ctx = context.WithValue(ctx, fenceKey{}, &Fence{})
	}
	return context.WithValue(ctx, fenceKey{f.Cluster, f.Prefix}, &f)
}

// fenceOf is nil without a fence.
func (d *DB) fenceOf(ctx context.Context) *Fence {
	f, _ := ctx.Value(fenceKey{}).(*Fence)
	if f == nil {
		return nil
	}
	if own, _ := ctx.Value(fenceKey{d.cluster, d.prefix}).(*Fence); own != nil {
		return own
	}
	return f
}
