// Package roster keeps the cluster map in etcd: which storage nodes there are, where, in which failure domain, and
// with which directories. It begins as what the cluster file says, is changed while everything runs, and is watched
// by every gateway and node. Beside it stands what each node tells of its targets while it lives.
//
// Main type: [Roster], safe for concurrent use. Who is alive, leases and fences are package member's.
//
// # Keys
//
// Below the prefix of the metadata, beside those of package member:
//
//	c/nodes        empty; written with every change of the map, whose transaction compares its revision
//	c/node/NAME    a node as JSON: name, addresses, domain, targets, takeover; {"removed":true} for one that was
//	               removed, so that a cluster file that still names it does not bring it back
//	c/has/NAME     state and capacity of the targets of a node as JSON, under its lease
//
// A node of the cluster file that the map has never had is entered when a process starts. From then on the map is
// right and the file's entry is not looked at.
package roster
