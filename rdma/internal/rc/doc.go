// Package rc is the wire over RDMA verbs: a lane is a reliable-connected queue pair
// with a completion queue of its own, on any device that package verbs opens.
//
// # Handshake
//
// The private data of rdma_cm, 56 bytes, carries it all, so that a stranger costs no
// queue pair and no memory: the answerer keeps nothing of who only asks.
//
//	caller   -> request: ask
//	answerer -> reject:  cookie
//	caller   -> request: prove      (a new one, with the cookie)
//	answerer -> accept:  accept     or reject: refuse
//
//	 0          4      5        6       8         16       24         40
//	+----------+------+--------+-------+---------+--------+----------+----------+
//	| "WFV1"   | kind | reason | slots | session | nonce  | cookie   | proof    |
//	+----------+------+--------+-------+---------+--------+----------+----------+
//	                                      8         8        16         16
//	kind 1 ask, 2 prove, 3 cookie, 4 refuse, 5 accept. "WFV" is the magic, "1" the version.
//	reason of a refusal: 1 another version, 2 wrong proof, 3 busy, 4 cookie too old
//
// A cookie is the time in seconds (4 bytes) and an HMAC of it, the session and the
// nonce under a key that the answerer makes at its start. It is good for cookieLife
// and for one proof. Proofs are HMACs under the cluster's secret: the caller's over
// the 40 bytes before it, the answerer's over its own 40 and all of the caller's.
//
// # Messages
//
// A SEND carries the header of package wire and the body. Two more kinds find the
// memory behind a region's key, once for each lane:
//
//	kind  name      sent by   id   status                 body
//	16    Resolve   answerer  key  -                      -
//	17    Resolved  caller    key  0 found, 1 no such key base (8), length (8), rkey (4)
//
// So a wrong key or range is refused before anything is sent, and a region may have
// another key on each device. The device checks all the same: a transfer to memory
// that was closed meanwhile fails the queue pair, and the lane with it.
//
// # Credits
//
// An answerer has a receive posted for each slot, for the cancellation of each, and
// spare ones for pings and Resolved; a caller for the reply of each slot and spare ones
// for pongs, Resolve and the word that the answerer closes. The receive of a call is
// posted again before its reply is sent, but for those whose handlers outlive their
// calls: there is another for each slot. So none is ever missing.
//
// # Work requests
//
// Messages that fit are sent inline and mostly unsignaled. Others are copied into a
// send buffer, given back by their completion. READs and WRITEs are signaled, at most
// maxTransfers on a lane. As a queue completes in order, a completion accounts for
// all before it. What finds no room waits in a backlog that completions drain.
// The id of a work request is an index into a table, never a pointer.
//
// # Polling
//
// At the answering end one goroutine polls; when a call comes it starts another that
// goes on polling, and answers the call itself, so that a short call changes no
// thread. At the calling end nobody polls while nothing is awaited: the caller
// polls for a short time and then leaves it to a goroutine that waits on the
// completion channel.
//
// # The end of a lane
//
// The queue pair goes to the error state, from where on the device drops what the
// peer sends; everything outstanding is flushed and polled; the queue pair is
// destroyed. Only then transfers end, the Receiver is told, and memory is free.
package rc
