// Package erasure says how an object part is cut into stripes and blocks,
// which of them may be lost, and computes and rebuilds parity.
//
// A part of Size bytes is written as stripes of K data blocks and M parity
// blocks. Shard i of the part (a chunk once stored) is block i of every stripe,
// in order. All blocks of a stripe have one length; every stripe but the last
// has full blocks of Geometry.Block bytes, the last has the shortest block that
// holds what remains, rounded up to Align and filled up with zeros:
//
//	          block 0      block 1      parity 0     parity 1
//	stripe 0  [0, B)       [B, 2B)      P            Q
//	stripe 1  [2B, 3B)     [3B, 4B)     P            Q
//	stripe 2  [4B, 4B+b)   [4B+b, Size) P            Q          b <= B
//
// Checksums are kept per Unit of a chunk, counted from the chunk's start. Full
// blocks are multiples of Unit, so that only the last unit of a chunk can be
// short.
//
// The package does no I/O. A Codec is safe for concurrent use; Layout and
// Geometry are values.
package erasure
