// Package node is the storage node: a Service owns targets (package extent) and
// answers the fabric protocol; a Client asks it, from a gateway or from the same
// process over the mem transport.
//
// The service moves bytes between fabric and target and watches the targets'
// health, and compacts them. It knows nothing of objects, erasure codes or
// placement, never calls other nodes and never formats a directory unless Format
// is called.
//
// Main types: Service and Config; Client, Target, Writer and TargetStatus.
// Service, Client and Target are safe for concurrent use. Errors at the client
// satisfy errors.Is for the sentinels of package extent, for ErrIO,
// ErrUnknownTarget, ErrBusy and ErrProtocol of this package, and for those of
// package rdma and context.
//
// # What a peer may do
//
// Who passed the fabric's handshake is trusted with the chunks: it may read and
// delete all of them. It cannot make the service hold more than it is configured
// to, whatever it sends: messages are parsed without allocating, a session has a
// bounded number of writers, which end when they are idle, a target is compacted
// once at a time, and a directory is only formatted when it is empty and its
// target known.
//
// # Protocol, version 1
//
// Messages are little-endian and at most rdma.MaxMessage long. A request is 88
// bytes, then crcs, then body:
//
//	 0      1        2         8              24             40      41
//	+------+--------+---------+--------------+--------------+-------+---------+
//	| op   | version| flags, 0| target (16)  | set (16)     | index | zero (7)|
//	+------+--------+---------+--------------+--------------+-------+---------+
//	 48         56          64     68     72         80       84
//	+----------+-----------+------+------+----------+--------+---------+
//	| off (8)  | addr (8)  | rkey | len  | value (8)| crcs n | body n  |
//	+----------+-----------+------+------+----------+--------+---------+
//
//	field    bytes  meaning
//	op       1      what to do, see below; others answer "protocol"
//	version  1      1; others answer "protocol"
//	flags    1      bit 0: a trace context follows the body; then 5 zero bytes
//	target   16     TargetUUID; zero for Status and Identify
//	set      16     chunk set; with index the chunk id
//	index    1      shard number in the chunk set
//	off      8      offset in the chunk, never negative
//	addr, rkey, len 8+4+4  rdma.Remote of the caller's memory
//	value    8      length, writer handle, limit or rate, see below
//	crcs n   4      number of CRC-64/NVME values, 8 bytes each, from byte 88
//	body n   4      bytes after them; the message ends there exactly, or with a trace context
//	trace    24     with flag bit 0: trace id (16), span id (8) of the caller, neither zero
//
// Fields that an operation does not use are zero. Operations and what they use:
//
//	op  name        request                                     reply body
//	 1  Status      value: first target                         count target records
//	 2  Append      id, remote: data, crcs: units, body: meta   -
//	 3  Create      id, value: chunk length                     handle (8)
//	 4  Write       off, remote: data, crcs: units, value: handle; no data only keeps the writer  -
//	 5  Commit      value: handle, body: meta                   -
//	 6  Abort       value: handle                               -
//	 7  Read        id, off, remote: window                     -
//	 8  CRCs        id, off, value: bytes                       count CRCs (8 each)
//	 9  Stat        id                                          info
//	10  Meta        id                                          info, meta
//	11  List        value: limit, body: none or the id after which to begin   count infos
//	12  Delete      body: ids (17 bytes each)                   -
//	13  Verify      id                                          -
//	14  Compact     value: bytes a second, 0 unlimited          bytes given back (8)
//	15  Usage       -                                           usage
//	16  Checkpoint  -                                           -
//	17  Identify    -                                           deployment (16), name (at most 255 bytes)
//	18  Format      -                                           1 if it was formatted, else 0 (1)
//
// A reply is 8 bytes and its body. On failure the body is the message of the
// error, UTF-8, at most 256 bytes.
//
//	 0        1         2      4
//	+--------+---------+------+---------+------
//	| status | version | flags| count   | body
//	+--------+---------+------+---------+------
//
//	flags bit 0: there is more (List, Status)
//	status: 0 ok, 1 not found, 2 corrupt, 3 exists, 4 full, 5 fenced, 6 offline,
//	7 invalid, 8 I/O error, 9 unknown target, 10 busy, 11 protocol, 12 canceled,
//	13 deadline, 14 transfer (the node could not reach the caller's memory)
//
//	id     17  set (16), index (1)
//	info   40  set (16), index (1), zero (7), length (8), created (8, ns since 1970 UTC)
//	usage  64  total, free, chunks, live, dead, extents, commits, chunks committed:
//	           8 bytes each, in the order of extent.Usage
//
// A target record is 168 bytes, then directory (at most 1024 bytes) and error text
// (at most 256):
//
//	off  bytes  field
//	  0  16     uuid
//	 16   1     state
//	 17   1     flags: bit 0 was a mount point when it was added
//	 18   2     length of directory
//	 20   2     length of error text
//	 22   2     zero
//	 24   8     since: when the state was entered, ns since 1970 UTC
//	 32   8     checked: end of the last check, ns; 0 never
//	 40   8     I/O errors
//	 48   8     consecutive I/O errors
//	 56   8     corrupt: reads and verifications that found corruption
//	 64   8     open writer handles
//	 72   8     reads      80  8  bytes read
//	 88   8     writes     96  8  bytes written
//	104  64     usage
//
// Version history: 1, the first. A node from before trace contexts answers them with
// "protocol", having done nothing, and the client asks again without one. One from before
// writes without data answers those with "invalid", having done nothing.
package node
