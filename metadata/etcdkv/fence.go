package etcdkv

import "context"

// Fence is a key that must be there for a commit to happen, as it was created: that of
// a lease, for instance. It is compared in the commit's own transaction, so that there
// is no instant between the look and the deed.
type Fence struct {
	Key     string // the whole key, not below Config.Prefix
	Created int64  // its create revision; 0 is a fence that is down
}

type fenceKey struct{}

// WithFence makes Updates with the context fail with metadata.ErrFenced, and commit
// nothing, when the fence's key is gone or was created anew.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, &f)
}

// fenceOf is nil without a fence.
func fenceOf(ctx context.Context) *Fence {
	f, _ := ctx.Value(fenceKey{}).(*Fence)
	return f
}
