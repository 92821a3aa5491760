// Package boltkv is the metadata engine of one machine: a bbolt file with group
// commit.
//
// Updates that wait are run one after the other inside one bbolt transaction,
// each over a write buffer of its own that is applied only when its function
// returns nil, and one synced commit answers them all. So transactions are
// serial, each sees those before it, and the cost of a sync is shared.
//
// The file has one bucket, "weft". The freelist is not written (it is found
// again at open), and the file grows in large steps so that most commits change
// no file size.
//
// A commit that fails (a full disk, an I/O error) fails every update in it and
// changes nothing; the engine stays usable. A page that bbolt cannot make sense
// of is metadata.ErrCorrupt.
package boltkv
