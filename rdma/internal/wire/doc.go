// Package wire is what the wires of the fabric have in common: the seam between
// package network, which knows calls, lanes and peers, and the packages that move
// messages and bytes between two processes (tcp and rc).
//
// A Network dials and takes Lanes. A lane is one connection whose two ends have
// proved to each other that they have the secret. It carries small messages in
// order, and moves bytes between staging memory at the answering end and
// registered memory at the calling end, always asked for by the answering end.
//
// # Messages
//
// A message has a kind, an id, a value and a body of at most rdma.MaxMessage
// bytes. Its header is 24 bytes, little-endian; a wire may have more behind it.
//
//	 0      1        2       4          8            16
//	+------+--------+-------+----------+------------+-------------+
//	| kind | status | zero  | length   | id         | value       |
//	+------+--------+-------+----------+------------+-------------+
//
//	kind  name    sent by    id       value                    body
//	1     Call    caller     call     ns left; 0 is no limit   request
//	2     Reply   answerer   call     -                        answer
//	3     Refuse  answerer   call     -                        - (not handled: the server closes)
//	4     Cancel  caller     call     -                        - (a Reply still follows)
//	5     Ping    caller     number   -                        -
//	6     Pong    answerer   number   -                        -
//	16+           the wire's own
//
// Every Call has exactly one Reply or Refuse. The caller has no more calls under
// way on a lane than the slots that both ends agreed on, so that an answering end
// never holds more than slots calls and slots cancellations; a caller that
// breaks this is cut off.
//
// # Memory
//
// A region has a random 32-bit key that is the same on all wires of a transport. A
// lane finds the memory behind it at the calling end with every transfer, or
// once and is told when it is gone. Keys are secrets.
//
// # Errors
//
// A lane that breaks tells its Receiver once, after the last transfer has let go
// of this end's memory. Errors wrap rdma.ErrPeer, ErrRemote or ErrClosed and say
// why.
package wire
