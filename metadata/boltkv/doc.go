// Package boltkv is the engine of package metadata for one machine: one bbolt file.
//
// Updates are committed in groups. A committer goroutine takes all that wait, runs
// them one after the other in one bbolt transaction, commits it (two fdatasyncs,
// however many updates) and answers all. Each update writes to a buffer of its own,
// which is applied when its function returns nil; so an update that fails leaves
// nothing behind, and those after it in the group see the ones before it.
//
// Durable: when Update returns nil the group's pages and then bbolt's meta page have
// been synced, in this order. When the pages cannot be written for lack of space, all of the
// group get the error and the engine goes on; after any other failed write or sync the
// state of the file is unknown, and updates fail until it is opened again.
//
// Views read the last state that is durable, all in one read-only transaction of bbolt's that
// the committer begins after each commit: what bbolt itself shows may still be on its way to the
// disk. When the file has nearly filled the map that was reserved for it, which can only grow
// while nobody reads, views begin transactions of their own, and wait for a sync under way.
//
// The file has one bucket, "weft". The list of free pages is not stored but found
// by reading the file when it is opened. Records have checksums (package metadata);
// bbolt's own pages have none, and a panic or a fault in bbolt over a damaged page
// is returned as metadata.ErrCorrupt.
//
// Errors: the context's, if it ends before the update begins (once it runs, its
// outcome is waited for); what the function returns, as it is; metadata.ErrClosed,
// metadata.ErrCorrupt, metadata.ErrTooLarge; metadata.ErrUnknown when a commit can be read but
// was not synced; those of the file.
package boltkv
