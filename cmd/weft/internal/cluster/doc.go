// Package cluster reads, writes and checks the cluster file: the one description of a
// Weft store on several hosts, in TOML, the same on all of them. `weft node` and
// `weft gateway` read it; `weft cluster` makes and checks it.
//
//	deployment = "5f0c..."       32 hexadecimal digits: which store this is
//	layout = "ec:4+2"            of new objects
//	secret-file = "weft.secret"  beside this file; mode 0600, at least 32 bytes
//
//	[fabric]                     optional
//	transport = "auto"           auto, verbs or tcp
//	tls = false                  encrypt tcp
//	lanes = 2                    connections from a gateway to a node, at least one a rail
//	slots = 32                   calls at once on each
//	rails = ["10.0.0.0/24"]      networks; each node has one address in each of them
//	staging = "64MiB"            registered memory of a node for transfers under way
//	huge-pages = false           take registered memory from huge pages
//	keep-alive = "5s"            silence before a sign of life; given up after three
//	spin = "20us"                polling for an answer before sleeping (verbs); 0s never
//
//	[[node]]
//	name = "node[1-6]"           host[01-16] stands for sixteen nodes
//	address = ["node[1-6]:7400"] one for each rail; the name and port 7400 by default
//	domain = "rack1"             failure domain; the node's name by default
//	targets = ["/mnt/ost0"]      directories, absolute
//
// The secret authenticates nodes and gateways to each other. It is never part of an
// error or a log.
package cluster
