// Package etcdkv is the engine of package metadata for many machines: etcd v3, over
// which any number of gateways run optimistic transactions.
//
// Main types: [DB], which implements metadata.KV and is safe for concurrent use, and
// [Config], which [ParseURL] makes of an etcd:// URL. ADR 6 has the reasons and the
// cost of each operation in round trips.
//
// # Keys
//
// Everything lies below Config.Prefix:
//
//	prefix 6B ("k") key             a pair of package metadata, values as they are
//	prefix 6D ("m") instance number a marker: 16 random bytes of this DB, 4 big-endian
//
// Other keys below the prefix are free for those who use [DB.Client].
//
// # Reads
//
// The first read of a View goes to a quorum and pins its revision; all later ones are
// of that revision, from any member. Scans are read in pages.
//
// Values read lately are kept. A transaction is given what is kept as a guess, and so
// is, in an Update that has pinned its revision, that a key it did not read yet is
// absent. No result leaves View or Update before all guesses were compared with the
// store: together with the next read, in the commit, or at the end. When one was
// wrong the function is run again with the right value. So reads that follow from
// each other cost one round trip where the guesses are right.
//
// # Requests that are shared
//
// The first reads of transactions that run at the same time are one request, and so are
// their commits: what is asked for while a request is under way goes with the next.
// Commits are nested, each with its own comparisons and marker, and are refused one by
// one. Those of which one writes what another reads or writes do not share a request.
//
// # Commits
//
// An Update is one etcd transaction that writes if
//
//   - every key read by Get or Scan has the mod revision it was read with (0: absent),
//   - no key in a scanned range is newer than the snapshot. The first rule sees
//     deletions, this one what was inserted,
//   - the marker is as this DB left it; the transaction also overwrites the marker,
//   - and the key of [WithFence], if any, is there as it was created.
//
// Otherwise the function is run again, after a random delay from the second time on.
//
// etcd takes 128 operations (--max-txn-ops) in a transaction, but as many in each that
// is nested in it. A longer one is cut into nested transactions three deep, which holds
// 29,791. A nested transaction whose comparisons fail reads a revision of
// the future; etcd checks this before it applies anything and refuses the whole.
//
// # Lost answers
//
// When a commit returns an error, it may have happened, or may happen yet. A second
// transaction then deletes the marker if it is as it was: from then on the commit
// cannot happen any more. If the marker was overwritten, the commit did happen. So
// the outcome is known as soon as etcd answers; if it does not within
// Config.ResolveTimeout, Update returns metadata.ErrUnknown. A marker has a lease of an hour,
// so that those of a dead gateway vanish.
//
// # Errors
//
// The context's, as long as nothing was sent to be committed; what the function
// returns, as it is; metadata.ErrFenced; metadata.ErrClosed; metadata.ErrTooLarge when etcd refuses the
// size (--max-request-bytes, 1.5 MiB); syscall.ENOSPC when etcd's quota is reached, and nothing was
// committed; [ErrSnapshotGone]; metadata.ErrUnknown; etcd's own.
// None has the password in it.
package etcdkv
