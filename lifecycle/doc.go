// Package lifecycle removes what the lifecycle rules of buckets say is over: current and
// noncurrent versions, delete markers with nothing beneath them, and uploads that were
// given up.
//
// It knows no HTTP and no XML. [Config] is what a bucket keeps, [Rule] one rule, and
// [Worker] goes through all buckets again and again, in cycles. One worker runs over the
// same metadata; it keeps its place there, so that another process goes on from it. A
// Config is read-only and safe for concurrent use, a Worker is for one goroutine.
//
// # When
//
// What is due after a number of days is so at the first midnight (UTC) that is at least
// as many days later. A Worker with another [Worker.Day], which is for tests, counts such
// days and rounds nothing.
//
// # What is removed
//
// Each removal names the version that was looked at, and is decided again in the
// transaction: an object that was put since stays, and so does a version that is locked.
//
// # Records
//
// A configuration is a JSON array of rules in the bucket's record, under the name
// [ConfigName]. The worker's place is an entity of package metadata of kind 'L' without
// a scope, name "place": a JSON object with a version, 1.
package lifecycle
