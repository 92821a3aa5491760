// Package member makes a process one of several over the same metadata in etcd: it
// registers under a lease, tells what it is, sees the others, and takes part in the
// election of the one gateway that does the background work.
//
// Main type: [Member], safe for concurrent use. For package store it is the Peers.
//
// # Keys
//
// Below the prefix of the metadata (package etcdkv, whose keys begin with "k" and "m"):
//
//	c/deployment       32 hexadecimal digits: which store this is; written once
//	c/closed           why nobody may become a member, in words; absent: everybody may
//	c/member/ID        Info as JSON, under the lease of the process. ID is 32 hexadecimal
//	                   digits, new for each term
//	c/leader           ID of the gateway that leads, under its lease
//	c/own/NAME         ID of the member that holds a thing, under its lease (Claim)
//	c/epoch/NAME       how often it was claimed, in decimal
//	c/ask              a question to all gateways; its revision is the question's number
//	c/answer/ID        answer of a gateway: number of the question 8, changes 8, then
//	                   chunk sets of 16 bytes each, integers little-endian; under its lease
//
// # Terms
//
// A term begins when a process has registered and ends when its lease may have ended:
// the time to live after the last renewal was sent, by the monotonic clock, whatever
// etcd says meanwhile. Then what needs the membership stops, and a new term is begun as
// soon as etcd answers, under a new lease and a new ID. The process may have been frozen
// and not know yet that its term ended; so commits compare the key of the ID in their
// own transaction (etcdkv.WithFence), and fail when it is gone.
//
// # Questions
//
// Before it deletes chunks the leader must know that nobody reads or writes them. It
// overwrites c/ask. Every gateway watches it, makes a report after it saw the question,
// and writes it with the question's number. The leader waits until each gateway that was
// registered at the question's revision has answered it or a later one, or is gone. A
// gateway that is frozen holds the leader up for at most the time to live.
package member
