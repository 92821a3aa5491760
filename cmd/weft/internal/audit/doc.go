// Package audit writes one line of JSON for each request to S3, IAM and STS, to a file or
// to a webhook. A line has no secret, token, signature or query in it, only what
// s3api.Access says.
//
// [Log] takes lines from requests through a bounded queue; its one goroutine writes them
// out several times a second. When the disk is slow requests wait for it, a second at
// most; lines beyond that are counted as lost, in the log and in the metrics. When it is full
// 64 KiB of lines wait for room.
//
// A file is opened for appending and synced by nobody but the kernel; when it was moved
// away (as logrotate does) it is made anew.
//
// For a webhook, lines go to segments in a directory, "NUMBER.jsonl" with 16 digits, at
// most [SegmentBytes] each. The oldest is posted as application/x-ndjson and removed when
// the answer is 2xx; else it is tried again, under the same Idempotency-Key, so that a line
// may come twice and none is lost by a restart. When there are more than [SpoolBytes] new lines are lost, and counted.
package audit

import "time"

// Limits.
const (
	SegmentBytes = 1 << 20
	SpoolBytes   = 256 << 20

	bufferBytes  = 64 << 10
	queueLines   = 8192
	flushEvery   = 200 * time.Millisecond
	waitAtMost   = time.Second
	postWithin   = 15 * time.Second
	closeWithin  = 2 * time.Second
	maxRetryWait = 30 * time.Second
)
