// Package gateway assembles the part of a Weft process that speaks S3: the metadata,
// the store over remote or local storage nodes, the S3 front end and the admin
// socket. `weft gateway` runs it over the nodes of a cluster file, `weft server` over
// the node in its own process.
//
// The gateway looks at every node at intervals and at the same time. A target that is
// seen for the first time is entered in the metadata under the name NODE:DIR; it
// keeps its number when it moves to another node or directory, as its UUID says
// which it is. A node that does not answer is away: its targets are not used until
// it does, and the node is not logged about again until then.
//
// In the state directory (package statedir):
//
//	metadata.db    bbolt file of package metadata/boltkv
//	credentials    root keys in the AWS credentials format
//	keyring        seals the secrets of access keys (package identity)
//	admin.sock     socket of package adminsock
package gateway
