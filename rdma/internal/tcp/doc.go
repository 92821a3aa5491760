// Package tcp is the wire for hosts without RDMA: messages and bytes share one TCP
// connection a lane, encrypted by TLS 1.3 where it is configured.
//
// Payload is received from the socket straight into its place and sent from there:
// into registered memory at the calling end, into staging memory at the
// answering end. TLS copies it once more, for encryption.
//
// # Handshake
//
//	caller   -> hello (48)
//	answerer -> hello (48)
//	caller   -> proof (32)
//	answerer -> verdict (1), proof (32)
//	           when both have TLS: TLS 1.3, and inside it once more
//	caller   -> proof (32)
//	answerer -> verdict (1), proof (32)
//
//	hello
//	 0          4         5       6         8           16
//	+----------+---------+-------+---------+-----------+------------+
//	| "WFT1"   | status  | flags | slots   | session   | nonce (32) |
//	+----------+---------+-------+---------+-----------+------------+
//
//	status of the answerer: 0 ok, 1 another version, 2 it wants TLS, 3 it has no TLS.
//	verdict: 0 ok, 4 wrong proof.  flags: bit 0 TLS.
//	"WFT" is the magic, "1" the version.
//
// A proof is an HMAC under the cluster's secret over both hellos. The caller proves
// first. Inside TLS it is also over the keying material that both ends export from the
// session. So TLS needs no certificate authority: the answerer makes a certificate at
// its start, and one in the middle of two sessions cannot prove anything. The proofs
// before it keep the memory and time that TLS costs from strangers.
//
// Until the proof a connection costs the answerer a goroutine and less than a page;
// at most maxHandshakes are under way, each at most Options.DialTimeout.
//
// # Frames
//
// A frame is the header of package wire, 8 bytes more, and length bytes. Little-endian.
//
//	 0            24        28
//	+------------+---------+-------+---------------
//	| header     | key     | zero  | length bytes
//	+------------+---------+-------+---------------
//
//	kind  name    sent by    id        value    key  bytes
//	16    Pull    answerer   transfer  address  yes  - (length says how many are wanted)
//	17    Pulled  caller     transfer  -        -    the memory, none when status is not 0
//	18    Push    answerer   transfer  address  yes  what goes into the memory
//	19    Pushed  caller     transfer  -        -    -
//
//	status of Pulled and Pushed: 0 ok, 1 no such memory
//
// # Concurrency
//
// A goroutine a lane receives. Whoever sends tries to write without waiting; what the
// socket does not take is written by a goroutine that lives as long as there is
// something to write. So a lane never waits for its other end but there. What waits
// to be written is bounded: a peer that goes on asking without reading is cut off.
package tcp
