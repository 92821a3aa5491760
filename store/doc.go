// Package store puts, gets and repairs objects: it cuts them into
// erasure-coded chunks, places the chunks on targets, and makes a version
// visible in the metadata once its bytes are durable.
//
// It knows nothing of HTTP. Bulk bytes live in blocks of registered memory from
// the fabric's pool; the store moves names of blocks about, not bytes.
//
// A Store is safe for concurrent use.
package store
