// Package accesslog makes server access logs: lines in S3's format about the requests
// to a bucket, delivered as objects into another (S3 User Guide, "Amazon S3 server
// access log format" and "Enabling server access logging").
//
// Lines wait in memory, at most MaxWaiting bytes of them, those for one target half of
// that, and become an object for each source every Options.Every, when there are MaxObject
// bytes for one, and at Flush. It is best effort, as on AWS: what does not fit is lost, and
// so is what a crash interrupts and what the target refuses. The logger is told, and Lost
// counts the lines.
//
// A Log is safe for concurrent use. It never waits in Add.
package accesslog
