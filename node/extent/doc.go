// Package extent is the on-disk chunk store of one target: a directory in
// which immutable chunks are appended to shared extents or, when they are long,
// get an extent of their own. It knows nothing of objects, erasure codes or the
// network, and repairs nothing: damage is ErrCorrupt.
//
// Main types: [Target], [Writer], [Config]. All are safe for concurrent use,
// with the limits that [Writer] states. Errors are in api.go; any other error
// is of the file system beneath.
//
// # Files
//
//	weft.superblock      makes the directory a target
//	weft.superblock.tmp  a superblock being written
//	extents/NNNNNNNN.x   shared extent, number in decimal
//	extents/NNNNNNNN.o   extent of one chunk of OwnFile bytes or more
//
// Numbers are little-endian; times are Unix nanoseconds; checksums are
// CRC-64/NVME. Numbers of extents are never used twice.
//
// # Superblock
//
// One file of 512 bytes, replaced as a whole: write the temporary file, sync it,
// rename, sync the directory.
//
//	 0        8   10       16           32        48       64      72       80     504
//	+--------+---+--------+------------+---------+--------+-------+--------+------+-----+
//	| magic  |ver| zero   | deployment | target  | owner  | epoch | created| zero | CRC |
//	+--------+---+--------+------------+---------+--------+-------+--------+------+-----+
//
//	magic "weftsup\n"    a file of something else
//	deployment, target   another target mounted in this place
//	owner, epoch         another node took the target over: ErrFenced. From epoch 1 on
//	                     the directory of extents is "extents.EPOCH" (TakeOver)
//	CRC of [0, 504)      damage
//
// # Extent header
//
// The first 4096 bytes of an extent have two copies of 112 bytes, at 0 and at
// 2048, in different sectors: without the salt nothing after it could be found.
//
//	 0        8   10    12     16           32       48       56     72        80       88     104
//	+--------+---+-----+------+------------+--------+--------+------+---------+--------+------+-----+
//	| magic  |ver|kind | zero | deployment | target | number | salt | created | length | zero | CRC |
//	+--------+---+-----+------+------------+--------+--------+------+---------+--------+------+-----+
//
//	magic "weftext\n"    a file of something else
//	kind                 1 shared, 2 own file
//	deployment, target   an extent copied here from another target
//	number               a file that was renamed
//	salt                 16 random bytes that never leave the node
//	length               data bytes of an own file, which gives its record's place
//	CRC of [0, 104)      damage of this copy
//
// # Records
//
// Records begin on multiples of 64. The fixed part is followed by the checksum
// table, the metadata, and zeros up to a multiple of 64.
//
//	 0       4   5    6     7    8      12     16    32    40        48     56       64        72     80    88
//	+-------+---+----+-----+----+------+------+-----+-----+---------+------+--------+---------+------+-----+-------+------+
//	| magic |ver|type|index|zero| size | meta | set | seq | created | data | length | durable | body | CRC | table | meta |
//	+-------+---+----+-----+----+------+------+-----+-----+---------+------+--------+---------+------+-----+-------+------+
//
//	magic "WFR\x1a"  quickly: no record here
//	type             1 chunk, 2 tombstone, 3 reservation
//	set, index       id of the chunk
//	size             of the header with table, metadata and padding
//	meta             bytes of metadata, at most MaxMeta
//	seq              order among all records of the target; the highest of a chunk counts
//	data, length     chunk: place of its data in this extent, and bytes of it
//	                 tombstone: extent of the record that it deletes; it deletes
//	                 records of the chunk up to the sequence number "length"
//	                 reservation: region that belongs to a chunk whose record comes later
//	durable          records before this offset had been synced when this was written
//	body             CRC of table and metadata
//	CRC              of [0, 80), from an initial value made of salt, extent number
//	                 and offset: user data that looks like a record, records of
//	                 another extent and records in a wrong place are none
//	table            8 bytes for each 32 KiB unit of the data: CRC(unit) ^ mask
//
// The mask is mixed from set, index and unit number. A read through a stale or
// damaged index entry can therefore not verify as another chunk, another unit
// or, by way of zeros, as nothing. The table entries that a read uses need no
// other protection: a damaged one fits no data.
//
// Chunks up to MaxInline have their data right behind their header:
//
//	| header | data, to 64 | header | data | tombstone | ...
//
// Longer ones reserve a region first and fill it in any order; the header
// follows at the end of the extent when the chunk is committed:
//
//	| reservation | to 4096 | data ........ | other records | header | ...
//
// The reservation saves a scan from reading the data; nothing depends on it.
// An own file has its data at 4096 and one chunk record behind that, at the next
// multiple of 4096.
//
// # Who syncs what, in which order
//
//   - Shared extent: header, fdatasync, directory sync, before its first record.
//   - Group commit: one goroutine writes all waiting records of an extent with
//     one pwritev and one fdatasync, then makes them visible and answers. The same
//     fdatasync covers the blocks of created chunks, which are in the same file.
//   - Own file: data, fdatasync, record, fdatasync, directory sync. A record
//     on disk means that the data is.
//   - Deletion: a tombstone by group commit; an own file is unlinked and the
//     directory synced.
//   - Checkpoint: one synced bbolt transaction. Only synced records are in it.
//   - Compaction: copies by group commit, checkpoint that calls the extent
//     doomed, unlink, directory sync. Its entry leaves the index with the next
//     checkpoint; a doomed extent found by Open is removed, not read. An extent that has
//     to stay, for a chunk that does not verify, has the headers of all records that are not
//     where their chunk is overwritten in place by tombstones of themselves; fdatasync.
//
// After a failed write or sync the extent takes nothing more and is cut off
// behind the last good sync: the kernel may have dropped pages that it could not
// write, and show them as clean.
//
// # Recovery
//
// The index says up to where each extent is covered. Open walks the records
// behind that; where none stands it tries the next multiple of 64. The highest
// "durable" of an extent tells which records had been synced: they are entered as
// they are, so that damage shows as ErrCorrupt later. The others may be a torn
// commit, as header and data reach the disk in any order: they are entered only
// if all their data verifies; else their headers are overwritten, before later
// records would vouch for them. What follows the last good record is cut off and
// the file synced, since a process may have died without its host and left
// records in the page cache alone; so are the directories, for the names. Extents
// are read in the order of their numbers: a tombstone is never in an extent before
// that of its victim.
//
// An own file that the index does not know is entered when its record is whole, and
// removed when it has none, or has a torn one and is younger than the index.
//
// A read error while walking makes Open fail: guessing that nothing was there
// would lose what is. An extent that the index has is read on without its header, when
// that cannot be read or is damaged, and takes nothing more.
//
// A tombstone is copied by compaction as long as the extent of its victim exists. It names
// the extent where the chunk was at the end, so an extent that a crash left half moved out
// needs its next compaction before those tombstones go: if the index is lost before that,
// what was moved and then deleted may come back, to be swept as an orphan.
//
// # Index
//
// A bbolt file with four buckets; keys are big-endian so that they sort. Each
// value ends with a CRC of key and value. It is a cache: with any damage, another
// identity, or extents that do not fit, it is thrown away and made from the
// extents. bbolt does not survive damaged pages, so INDEX.sum beside it has the
// checksum of the whole file: magic "weftidx\n"(8) size(8) CRC of the file(8) CRC
// of [0, 24)(8). It is written after each checkpoint and checked before the
// file is opened.
//
//	chunks   set, index -> own(1) extent(8) record(8) data(8) length(8) seq(8) created(8) header size(4) CRC(8)
//	extents  number -> doomed(1) salt(16) covered(8) live bytes(8) n(4) n x [victim extent(8) tombstone bytes(8)] CRC(8)
//	own      number of an own file -> set, index
//	meta     "head" -> version(1) deployment(16) target(16) seq(8) next extent(8) chunks(8) live bytes(8) CRC(8)
//
// # Versions
//
//	1  the first
package extent
