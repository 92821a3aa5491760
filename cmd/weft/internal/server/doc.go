// Package server assembles a Weft process from its configuration: the state
// directory, the targets, the storage node, the fabric, the metadata, the store
// and the S3 front end. It is what `weft server` runs, and what end-to-end
// tests start in their own process.
//
// The state directory (mode 0700, one process at a time, held by flock):
//
//	deployment.json   {version, id, layout, created}: which targets belong here
//	credentials       root keys in the AWS credentials format, mode 0600
//	metadata.db       bbolt file of package metadata/boltkv
//	index/UUID.db     index of each target, a cache of package node/extent
//	admin.sock        socket of the admin protocol, mode 0600
//	lock              held while a process uses the directory
//
// The admin protocol is HTTP on that socket: POST /OPERATION with AdminArgs,
// answered by lines of JSON, each {"progress":...}, the last {"result":...} or
// {"error":"..."}. Whoever may write to the socket may administer.
package server
