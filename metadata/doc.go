// Package metadata holds what S3 says of buckets, objects, versions and
// multipart uploads, written once on a small ordered key-value interface, KV.
//
// Engines: boltkv for one machine. The package stores records and knows
// nothing of HTTP, of chunks' bytes or of where targets are.
package metadata
