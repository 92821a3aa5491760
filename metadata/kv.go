package metadata

import "context"

// KV is an ordered key-value store, the little that the semantics above it need
// from an engine. Keys and values are byte strings; keys are at most MaxKVKey
// bytes, values at most MaxKVValue.
//
// Implementations: boltkv (one machine), etcdkv (many). One conformance suite, package kvtest,
// is run by each. Safe for concurrent use.
type KV interface {
	// View runs fn on a consistent snapshot of what is durable. fn may be run more than once before
	// anything was scanned; what the last run returns counts.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn and commits what it wrote, atomically and durably, when fn
	// returns nil; nothing happens when it returns an error, which Update returns
	// as it is. fn sees its own writes. Transactions are serializable; fn may be
	// run more than once and must have no other effects.
	Update(ctx context.Context, fn func(Txn) error) error
	Close() error
}

// Limits of an engine, chosen so that etcd's defaults hold them.
const (
	MaxKVKey   = 4 << 10
	MaxKVValue = 1 << 20
)

// Reader reads from a snapshot. Slices that it returns or lends are read-only
// and valid until the function it was passed to returns.
type Reader interface {
	// Get returns nil when the key is absent.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for every key in [from, to) in order until fn returns false. A nil to means
	// no bound.
	Scan(from, to []byte, fn func(key, value []byte) bool) error
}

// Txn reads and writes.
type Txn interface {
	Reader
	// Put copies what it is given.
	Put(key, value []byte) error
	Delete(key []byte) error
}
