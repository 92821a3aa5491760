// Package storagenode brings up the targets of this host: it formats new
// directories, remembers the known ones, and has package node serve them. `weft
// node` runs it with a fabric and an admin socket of its own (Process), `weft
// server` beside a gateway.
//
// In the state directory (package statedir):
//
//	targets.json   the known targets: {version, targets: [{uuid, path, mount, added}]}
//	index/         the targets' indexes
//
// A directory that is known and empty now is a disk that did not mount, or one that
// was replaced: it is never formatted unasked. Who asks is `weft admin repair`, by
// the Format operation of the node protocol, which refuses when the directory was a
// mount point and is none.
package storagenode
