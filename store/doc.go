// Package store puts, gets and repairs objects: it cuts them into
// erasure-coded chunks, places the chunks on targets, and makes a version
// visible in the metadata once its bytes are durable.
//
// It knows nothing of HTTP. Bulk bytes live in blocks of registered memory from
// the fabric's pools; the store moves names of blocks about, not bytes.
//
// Main types: Store and Config; PutRequest, PartRequest, CompleteRequest; Object
// and Stream; Target, which a storage node's client is. A Store is safe for
// concurrent use. Its errors are in errors.go; those of package metadata pass
// through as they are.
//
// # Writing
//
// A body is read straight into the blocks of a stripe, which are taken from the
// pool at once, when its first bytes have come. Each chunk of a part is written by
// a goroutine of its own (setWriter); parts whose chunks fit one message need no
// pipeline (appender). A shard whose target fails is moved to another while all of
// its bytes are in hand, and is given up later. A write that has its quorum waits
// for the late for Config.Grace. Memory is given back when the last call that may
// touch it has returned, also if that is long after the request was answered.
//
// # Placement
//
// Targets are in failure domains, such as the host that serves them. The shards of a
// part are spread over as many domains as there are, at most M in one and one of
// copies, as long as there are enough of them; what finds no place by this rule is
// missing and queued for repair. Check reports shards that came to break it, as
// when hosts are added, and Repair moves them.
//
// # Reading
//
// A Stream plans segments, the part of its range in one stripe, and reads for each
// only the units that it touches, from data shards; the next segments are read
// while one is written to the client, as long as there is memory to spare. When
// a shard fails or is late, fetch asks others and rebuilds.
//
// # Encryption
//
// A body with a Seal goes through DARE 2.0 (github.com/minio/sio) before it comes into
// blocks: packages of 64 KiB, each 32 bytes longer than its data, bound to its place, the
// last marked as such. The key is derived from the object's and the set's id, so chunks
// that were exchanged do not open. Everything below sees sealed bytes; Size of the part and
// the sums are those of the body. SealedStream opens the packages that a range touches.
//
// # Memory
//
// Nobody waits for blocks while holding some, apart from calls that have not
// returned; so the pools bound the memory and cannot deadlock. Who waits longer
// than Config.AcquireWait gets ErrBusy.
//
// # Chunk descriptors
//
// Every chunk carries a descriptor as its self-description, the same on all
// shards of a set, so that the metadata can be rebuilt from the targets alone. The
// chunk's record on the target checks it by a checksum of its own; the shard is in the
// chunk's id. Integers are little-endian.
//
//	+-------+---------+------+-------------+--------+--- - - -
//	| magic | version | kind | name length | bucket | body
//	|   4   |    1    |  1   |      2      |   n    |
//	+-------+---------+------+-------------+--------+--- - - -
//
//	magic        "WFTD": that this is a descriptor at all
//	version      1
//	kind         1 object in one piece, 2 part of an upload, 3 manifest,
//	             4 piece of a snapshot of the metadata, 5 lock of a version
//	body         kinds 1, 3 and 5: a record of metadata.EncodeVersion with the part
//	             that the chunk is of as Inline (1), Manifest (3) or LockPart (5);
//	             that of kind 5 names the version and has its lock, and no more
//	             kind 2: upload id (16), key length (2), key, and a record of
//	             metadata.EncodePart
//	             kind 4, with an empty bucket: number of the snapshot (8), piece
//	             from 0 (4), 1 if it is the last (1), and a record of
//	             metadata.EncodePart
//
// The records hold the geometry, the sums, and the targets as they were chosen. A
// shard that went elsewhere when its target failed is found by its id, not there.
// The bytes of a manifest are a record of metadata.EncodeManifest. A descriptor is at
// most extent.MaxMeta bytes. An object that is renamed, or appended to, gets a new manifest: of several
// that list a part the newest says what its object is, and the part's own descriptor what it was.
// A lock that is set with an object is in the version's record;
// a change of it later is a set of its own, of no bytes, which the version's record in
// the metadata refers to. Tags that would make a descriptor longer are left out, and
// a rebuild does not bring them back.
package store
