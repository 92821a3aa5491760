// Package metadata holds what S3 says of buckets, objects, versions and multipart
// uploads, written once on a small ordered key-value interface, [KV].
//
// Engines: boltkv for one machine, memkv for tests; package kvtest is the
// conformance suite that both run. The package stores records and knows nothing of
// HTTP, of chunks' bytes or of where targets are. It does not check what s3api
// checks (names of buckets, sizes of user metadata), only what it could not store.
//
// Main types: [DB], whose methods are one transaction each and safe for concurrent
// use; [Version], [Upload] and [Part]; [ListPage]. Errors are the sentinels of
// errors.go, [DeleteMarkerError] and [CompletedError], wrapped with the operation.
//
// # Partitions
//
// A DB may have several engines (Options.More), as one etcd cluster holds some tens of
// millions of objects. Each has buckets with all that is in them, under the same keys and in
// the same formats as a DB with one engine, which knows nothing of the others; what belongs
// to no bucket is in the first. A bucket is where its record is found: first where it was
// seen last, then where Options.Place would make it, then elsewhere. No transaction writes in
// two engines.
//
//   - Names: a bucket's id is taken from the first engine, and its record is then made in one
//     transaction in the engine that Place says, which compares "c map" there. All that make
//     buckets have the same map, so that a name is made in one engine only; a bucket that was
//     placed by an earlier map is seen before. A crash in between costs a number.
//   - Garbage and notes are in the engine of the change, damage in the first. Positions are
//     equal to the number of the engine modulo 16, so that the queues of all are read as one.
//   - Quotas of accounts have a record in each engine, which counts what is there and
//     has what the others counted lately (BalanceQuotas).
//   - What is read of all engines (lists of buckets, walks, snapshots) is of one moment for each.
//
// [Split] divides the pairs of one engine among several, [SourceOfAll] joins them.
//
// # What is current
//
// The version that was put last is current, whatever the clocks of gateways say; the
// others are in the order of their ids. A delete marker's id is made in the
// transaction and is newer than all. When the current version is removed, the next by
// id is promoted, unless that is a marker.
//
// # Keys
//
// Numbers in keys are big-endian. A bucket is its 8-byte id, which is never given
// out again; a key is the S3 key, which has no NUL, so that keys sort as S3 lists
// them and their ids sort after them.
//
//	key                             value
//	b name                          bucket
//	c name                          counter: 8 bytes; "bucket" is the last bucket id, "map"
//	                                the number of the map of engines, in each of several
//	o bucket key                    version: the current one, unless it is a delete marker
//	v bucket key 00 id(16)          version: all others, and delete markers
//	n bucket key                    id(16) of the null version, if that is in v
//	u bucket key 00 upload(16)      upload under way
//	p upload(16) number(2)          part, of an upload or of an object completed from it, or of one put in
//	                                one piece and renamed or appended to: upload is the set of its part 1
//	p upload(16) 0000               table of contents of a completed upload
//	e queue 00 position(8)          note: what the outbox has to tell of a change
//	g position(8)                   garbage
//	i kind(1) scope 00 name         entity: a record of package identity
//	q b bucket                      quota of a bucket
//	q a account                     quota of an account
//	r set(16)                       damage
//	s snapshot(8) piece(4)          part: a piece of a snapshot on the targets
//	t id(2)                         target
//	w name                          work: where background work goes on
//
// Replacing, removing or aborting something moves its chunk sets to the garbage queue
// in the same transaction. A multipart object is one entry there; its parts stay in p
// until they are collected. A position is microseconds since 2025-01-01 (unique)
// times 2^14, plus the part number where an entry stands for many parts.
//
// # Values
//
//	+--------+-------- … --------+-----------+
//	| format |      fields       |  CRC32C   |
//	| 1 byte |                   |  4 bytes  |
//	+--------+-------- … --------+-----------+
//
// The format is 1, or another where the table says so. The checksum (Castagnoli, little-endian) is over the key and then
// the value up to the checksum; it detects flipped bits and values under the wrong
// key. A record that stands alone ([EncodeVersion], [EncodePart], [EncodeManifest]) is
// the same with an empty key. Decoders accept nothing after the last field.
//
// Integers are little-endian and fixed. A time is 8 bytes: milliseconds since 1970.
// A string is a uvarint length and its bytes; pairs are a uvarint count and that
// many name and value strings, sorted by name by the encoder. A digest is algorithm (1), type (1),
// length (1), bytes; algorithm and type are the numbers of package checksum.
//
//	version     flags 1: 1 null, 2 delete marker, 4 inline part, 8 upload, 16 manifest
//	            modified 8, size 8, MD5 16, id 16, part count 2, digest,
//	            key string (empty where the KV key tells), headers, user metadata, tags pairs,
//	            [inline part], [upload 16], [manifest part]; in format 2 and 3 also attributes
//	            pairs, in format 3 also lock, [lock part]
//	part        number 2, set 16, K 1, M 1, block 4, size 8, MD5 16, modified 8,
//	            digest, count 1, that many target ids of 2; in format 2 and 3 also
//	            flags 1: 1 sealed
//	lock        flags 1: 1 governance, 2 compliance, 4 legal hold off, 8 on, 16 lock part;
//	            end of the retention 8
//	manifest    version, uvarint count, parts
//	bucket      versioning 1, id 8, created 8, region string, tags pairs;
//	            in format 2 also owner string, configurations pairs
//	entity      data string
//	work        data string
//	note        data string
//	upload      initiated 8, algorithm 1, type 1, headers, user metadata, tags pairs;
//	            in format 2 and 3 also attributes pairs, in format 3 also lock
//	contents    rows: part number 2, end of the part in the object 8
//	garbage     kind 1, since 8, and
//	            kind 1: set 16, count 1, target ids of 2
//	            kind 2: upload 16
//	quota       flags 1: 1 what was there before is being counted; bounds of bytes 8 and objects 8,
//	            used bytes 8 and objects 8; in format 2 also used bytes 8 and objects 8 of
//	            the account in the other engines
//	damage      shards 8, since 8, bucket 8, key string, version 16, upload 16, number 2
//	target      flags 1: 1 retired, 2 mount point, 4 draining; UUID 16, added 8, path string
//
// What listings show comes first in a version, so that they decode no more than that.
//
// # Snapshots
//
// [DB.SnapshotTo] writes, and [Restore] reads, the same for every engine:
//
//	header      "WEFTMETA", format 4 (= 1), zero 4
//	pair        key length 2, value length 4, key, value, CRC32C 4
//	end         zero 6, count of pairs 8, CRC32C 4
//
// Each checksum is over everything before it from the header on, earlier checksums
// included, so a snapshot that is cut, spliced or reordered does not read. Pairs are
// in the order of their keys.
//
// Format 1 of records and of snapshots is the first. Buckets with an owner or with
// configurations have format 2, as have versions and uploads with attributes, parts that
// are sealed, and quotas of accounts with something in other engines; versions and uploads
// with a lock have format 3. What knows only older ones refuses to read these. The parts
// inside a record have its format.
package metadata
