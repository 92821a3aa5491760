// Package s3api speaks S3's HTTP protocol: it turns requests into calls of
// typed operations on metadata and data, and their results into responses.
//
// It knows no erasure coding, no RDMA and no database: [Buckets], [Versions],
// [Listings], [Uploads] and [Objects] say what it needs; *metadata.DB satisfies
// the first four and [FromStore] makes the last of a *store.Store.
//
// # Pipeline
//
// Every request passes through the same steps, in this order (handler.go):
//
//	request id > host style > route > authenticate > authorize > operation > encode
//
// One table ([Routes]) names every operation that S3 has, its method, its level
// (service, bucket, object) and the query key or header that selects it. Those
// without an implementation, and requests that match no row, answer 501
// NotImplemented. Query keys that S3 does not know are ignored; headers that
// would change what a request means and that are not supported are refused.
//
// # Access
//
// The Authenticator says who signed: a [Principal], or nobody. authorize (authorize.go)
// maps the operation to S3's actions (actions.go) and asks package policy, with the
// principal's policies, the bucket's, and Block Public Access. What it knows of a
// bucket is a second old at most when another gateway changed it. TestMatrix has a row
// for every operation.
//
// # Errors
//
// An operation returns an *[Error] with S3's code and status, or an error of the
// packages below, which one function (errorOf) translates. Errors become XML in
// one place; HEAD responses have none. A failure after the status line is out
// aborts the connection, so that a client never takes a cut body for a whole one.
//
// # Limits
//
// Key 1,024 bytes, user metadata 2 KiB, headers [Limits].HeaderBytes, XML
// documents 2 MiB (4 MiB for CompleteMultipartUpload), depth 8, 1,000 keys in a
// DeleteObjects and 10,000 parts in a CompleteMultipartUpload. Bodies must make
// progress ([Limits].ProgressBytes in each [Limits].ProgressWindow), and the
// number of requests at work is bounded by [Limits].Requests.
//
// # Decisions where AWS leaves room
//
// A key is an opaque string: "a/../b", "." and "//" are keys like others. AWS
// refuses keys whose ".." would climb above the bucket; so does this package,
// with 400 InvalidURI. A NUL or invalid UTF-8 in a key is 400 InvalidArgument.
// A storage class other than STANDARD is 501 NotImplemented when S3 knows its
// name and 400 InvalidStorageClass when it does not. The x-amz-rdma-token header
// on a GET is answered over HTTP with x-amz-rdma-reply: 501; on a PUT or
// UploadPart without a body the whole request is declined with status 501.
//
// A [Handler] is safe for concurrent use.
package s3api
