// Package sigv4 verifies AWS Signature Version 4 as S3 uses it: in the Authorization header, in the query of a presigned
// URL, and in the chunks and trailers of an aws-chunked body. It can also sign, for tests and for the load generator.
//
// It does no routing, knows no buckets and decides no permissions. A [Verifier] tells who sent a request; [Result.Body]
// gives the payload that was signed.
//
// # Order of use
//
//	res, err := verifier.Verify(r)     // before anything rewrites r.URL, r.Host or r.Header
//	if errors.Is(err, ErrAnonymous)    // no credentials: res is still there, for its Body
//	body, err := res.Body(r)           // decoded, bounded payload
//	n, err := body.Read(p)             // until io.EOF, or body.Finish()
//
// # Nothing counts before io.EOF
//
// A body is checked while it streams, so bytes reach the caller before the signature or hash that covers them was checked.
// Only a Read that returns io.EOF, or a [Body.Finish] that returns nil, says that every byte, chunk signature, trailer and
// length was right. A caller must not commit, acknowledge or publish anything before that, not even when it already has
// [Body.Length] bytes.
//
// # What is canonical
//
// The canonical path is the decoded path encoded once again, byte by byte, with only A-Z a-z 0-9 - . _ ~ and / left as they
// are. Dots, empty segments and letter case are kept: S3 keys are not file names. So however a client escaped the path on the wire,
// the signature covers the key that the server will use, r.URL.Path. Query parameters are treated likewise, with "+" read as a space,
// sorted by encoded name, then by encoded value. Header values are trimmed, runs of white space in them become one space, and several
// values of one header are joined by commas.
//
// Host and every x-amz-* header of the request must be signed (which includes x-amz-rdma-token); others may be.
//
// # Wire format of aws-chunked bodies
//
//	chunk   = size-hex [ ";chunk-signature=" 64-hex ] CRLF size bytes CRLF
//	body    = *chunk last-chunk [ trailer ]          last-chunk has size 0 and no bytes
//	trailer = 1*( name ":" value LF-or-CRLF ) [ "x-amz-trailer-signature:" 64-hex CRLF ] CRLF
//
// Each chunk signature covers the one before it, the first one that of the request; the signature of the last chunk is
// covered by the trailer's. So chunks can be neither replayed, reordered, dropped nor appended. Empty lines between trailers are
// skipped, since minio-go writes some. S3 wants chunks of 8 KiB and more; smaller ones are accepted here.
//
// # Limits
//
// Signed headers 100, query parameters 256, chunk header line 4 KiB, trailers 16 in 8 KiB, payload 5 GiB (one PUT or part), validity of a
// presigned URL 7 days, clock skew 15 minutes. The cache of derived keys holds 1,024 entries.
//
// # Concurrency and errors
//
// [Verifier] and [Signer] are safe for concurrent use and must not be copied; [Result] is read-only; a [Body] belongs to one
// goroutine. Errors for the client are [*Error] with S3's code, words and status. Anything else that a Body returns comes
// from the connection. No error or log ever holds a secret key.
package sigv4
