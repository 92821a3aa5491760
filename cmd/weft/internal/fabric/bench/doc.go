// Package bench measures the fabric between two processes: latency of a small
// request and its answer (Ping), bandwidth from memory to memory (Run), and reads
// of chunks from a storage node (RunChunks). It is what `weft fabric ping`, `bench`
// and `serve` are made of.
//
// It knows transports by package rdma's interfaces only. In Run the answering end
// moves the bytes, as a storage node does, with a fixed number of transfers under
// way on each lane and no word to the caller between them. Each block carries
// stamps that the receiving end checks, so that transfers which did not happen show.
//
// # Protocol
//
// Little-endian. A request and a reply begin alike:
//
//	 0        4    5       6         8
//	+--------+----+-------+---------+----
//	| "WFB1" | op | detail| zero (2)| ...
//	+--------+----+-------+---------+----
//
//	op 1 ping       request: any bytes to rdma.MaxMessage; reply: as long as the request
//	op 2 run        detail 1 push (RDMA WRITE), 2 pull (RDMA READ); request 56 bytes:
//	                  8 depth (4)  12 block (4)  16 transfers (8), 0 by time
//	                 24 time (8, ns) 32 seed (8) 40 addr (8) 48 rkey (4) 52 len (4)
//	                reply 40 bytes: 8 transfers (8) 16 bytes (8) 24 time (8, ns) 32 mismatches (8)
//	op 3 counters   reply: a JSON object of numbers
//	op 4 rails      reply: a JSON array of fabric.Rail
//
//	A reply has detail 0, or 1 and the text of an error of at most 256 bytes.
//
// Slot i of a run is [i*block, (i+1)*block) of the caller's memory, for i < depth. Its
// first and last 8 bytes are the stamp, seed + i*2^32 + n, where n is 0 at first and
// the n-th push into the slot writes n. So the numbers that the caller finds at the
// end add up to the pushes that were made, whichever slots they went to. A process that does not know the
// protocol answers something else, which Ping takes as an answer: a storage node
// refuses the request as fast as it would serve one.
//
// A Server is safe for concurrent use; the memory it uses is bounded by MaxRuns
// and MaxDepth. Errors are those of package rdma, ErrRefused and ctx's.
package bench
