package s3api

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/S3.md")

const docsPath = "../docs/S3.md"

// TestDocs keeps docs/S3.md what the route table says.
func TestDocs(t *testing.T) {
	want := renderDocs()
	if *update {
		if err := os.WriteFile(docsPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run go test ./s3api -run TestDocs -update", docsPath)
	}
}

const docsHead = `# S3 operations

Generated from the route table in ` + "`s3api/route_table.go`" + ` by ` + "`go test ./s3api -run TestDocs -update`" + `; do not edit.

Requests may be path style (` + "`/bucket/key`" + `) or, with ` + "`--domain`" + `, virtual-hosted (` + "`bucket.domain/key`" + `). A request is signed
with SigV4, or it is anonymous and a bucket policy must allow it. An operation that is not implemented, and a request that matches no row, answers 501 NotImplemented. Unknown query parameters are ignored.

`

const docsTail = `
## Where this server decides what AWS leaves open

| case | answer |
| --- | --- |
| ` + "`..`" + ` in a key | a character like others; 400 InvalidURI if it would climb above the bucket, as on AWS |
| ` + "`//`, `.`, `%2F`" + ` and trailing slashes in a key | kept as they are |
| NUL or invalid UTF-8 in a key | 400 InvalidArgument |
| headers for website redirects, MFA | 501 NotImplemented |
| bucket logging | lines in AWS's format; objects every ` + "`--bucket-logging-every`" + ` and at 1 MiB, by each gateway; the target is in the same account, and its policy lets ` + "`logging.s3.amazonaws.com`" + ` put objects (aws:SourceArn, aws:SourceAccount), or its access control list the group LogDelivery; secrets of presigned URLs are left out |
| ` + "`x-amz-write-offset-bytes`" + ` of PutObject | in every bucket that was never versioned, others are 409 InvalidBucketState; an object that is not there has no size but for 0; of several who append at one offset one succeeds, the others get 400 InvalidWriteOffset |
| what an append keeps | metadata, content type, tags, encryption and access control list of the object; user metadata, tags, locks and lists in the request are 400 InvalidRequest, its other headers are ignored. SSE-C needs the customer's key with each append |
| ETag and checksum after an append | the ETag is one of parts; the checksum is that of the whole when it is a CRC of the full object, others are gone |
| RenameObject | in every bucket that was never versioned, others are 409 InvalidBucketState; within the bucket; names that end with a slash are 400 InvalidRequest; the source is ` + "`bucket/key`" + `, with or without a leading slash, or the key alone |
| permissions of RenameObject | s3:PutObject for the new name, s3:GetObject and s3:DeleteObject for the old one; there are no sessions of s3express |
| what RenameObject keeps | all but the name: ETag, checksums, metadata, tags, encryption, Last-Modified; the events are ObjectRemoved:Delete and ObjectCreated:Put |
| ` + "`x-amz-client-token`" + ` | a repetition is known as long as the new name has what came of the first request |
| bucket notifications | destinations are those of ` + "`--notify`" + `, ` + "`arn:weft:notify:::NAME`" + ` as queue, topic or function; events of creation, removal, tagging and lifecycle expiration; EventBridge is 501; no test event is sent |
| events wait for a destination that is away | up to 100,000; then writes that need one are 503 SlowDown |
| encryption at rest | an object is encrypted when the request or the bucket's configuration says so; AWS encrypts always |
| SSE-C over plain HTTP | 400 InvalidRequest as on AWS, but for clients on the same host, and with ` + "`--tls-in-front`" + ` |
| ` + "`aws:kms:dsse`" + ` | 501 NotImplemented |
| key ids of SSE-KMS | names of ` + "`--kms-key`" + ` or of Vault's keys; of an ARN the name counts, in conditions of policies too. Policies of keys are the key service's |
| wrong key of a part (SSE-C) | 400 InvalidRequest |
| ` + "`x-amz-acl`" + ` | in a BucketOwnerEnforced bucket private, bucket-owner-read and bucket-owner-full-control are accepted and change nothing, other canned ACLs and grants are 400 AccessControlListNotSupported |
| ownership | BucketOwnerEnforced for a bucket that says none, or what ` + "`--object-ownership`" + ` says; with the others there are access control lists |
| access control lists | grants to accounts by canonical id, whose policies pass them on to users, and to groups; none by e-mail address; an anonymous writer's object is the bucket owner's; who began an upload may list its parts and abort it; a list that was changed after the object was written comes back from a snapshot of the metadata only, as tags do |
| ` + "`DisplayName`" + ` | the canonical id |
| Block Public Access | a bucket that was never told otherwise blocks nothing; nothing is public without a bucket policy either |
| the bucket of another account that has no policy | 403 AccessDenied; a bucket that does not exist is 404 for everybody, as on AWS |
| a key that does not exist, for those who may not list | 403 AccessDenied, as on AWS |
| a change of a policy | holds at once in the process that made it, after a second at most in others |
| the root of the root account | may do everything in every account, but for what a bucket policy denies it |
| ` + "`x-amz-expected-bucket-owner`" + ` | the account's id, or its canonical user id |
| conditions on what a request's document says (` + "`s3:RequestObjectTag`" + ` of PutObjectTagging, ` + "`s3:LocationConstraint`, `aws:RequestTag`, `aws:TagKeys`, `s3:object-lock-*`" + ` of PutObjectRetention and PutObjectLegalHold, ` + "`s3:if-match`" + ` of DeleteObjects) | the document is read when a policy asks for it and might allow the request |
| conditions on headers and parameters (` + "`s3:x-amz-*`, `s3:object-lock-*`, `s3:prefix`" + `) | one that the operation ignores is absent; those that come with CreateMultipartUpload are asked for there, and not again for parts and completion |
| a copy with tags | asks for no GetObjectTagging |
| ` + "`CanonicalRequest`" + ` of SignatureDoesNotMatch | without session tokens and customers' keys |
| ` + "`x-amz-storage-class`" + ` | STANDARD; other names that S3 knows are 501, unknown ones 400 InvalidStorageClass |
| ` + "`If-None-Match`" + ` on writes | entity tags work as well as ` + "`*`, and `*` in `If-Match`" + `; the conditions s3:if-none-match and s3:if-match of policies do not see these |
| object lock | a PUT with a lock needs no Content-MD5; the default retention holds for what is put, copied and completed |
| lifecycle | several criteria in a filter must all hold, with or without And; transitions are 501: there is one storage class; x-amz-transition-default-minimum-object-size is kept and returned; rules are applied every 6 hours |
| POST uploads | signatures of version 4, and of version 2 as on AWS; a file of more than 256 KiB must be the last field |
| ` + "`x-amz-if-match-size`, `x-amz-if-match-last-modified-time`" + ` | of deletes, in all buckets; they hold when there is nothing to delete |
| several ranges, or a malformed one | ignored, the whole object is sent |
| ` + "`x-amz-rdma-token`" + ` on a GET | the bytes over HTTP, with x-amz-rdma-reply: 501 |
| ` + "`x-amz-rdma-token`" + ` on a body-less PUT or UploadPart | 501 NotImplemented, x-amz-rdma-reply: 501, no ETag, nothing stored |
| no room left | 507 InsufficientStorage, a code of this server's |
| out of memory or too many requests | 503 SlowDown with Retry-After |
| too few targets answer | 503 ServiceUnavailable with Retry-After |
| the metadata does not answer, after tries for up to 10 s, or does not tell whether a commit happened | 503 ServiceUnavailable with Retry-After |
| a body that makes too little progress | 400 RequestTimeout, nothing stored |
| a read that fails after the header was sent | the connection is aborted |
| user metadata that is not ASCII | decoded from and returned as RFC 2047 |
| ` + "`x-amz-*`" + ` parameters of a presigned URL | count as the headers of that name; x-amz-copy-source is 501 there |
| creating a bucket again | in us-east-1 200 and nothing is changed, as on AWS, but 409 BucketAlreadyOwnedByYou where object lock is asked for and is not there; in other regions 409 always |
| more tags than allowed | 400 InvalidTag |
`

func renderDocs() string {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, done := range []bool{true, false} {
		if done {
			b.WriteString("## Implemented\n\n| operation | method | level | selected by | success |\n| --- | --- | --- | --- | --- |\n")
		} else {
			b.WriteString("\n## Not implemented\n\n| operation | method | level | selected by |\n| --- | --- | --- | --- |\n")
		}
		rows := Routes()
		slices.SortFunc(rows, func(x, y Route) int { return strings.Compare(x.Operation, y.Operation) })
		for _, r := range rows {
			if r.Implemented() != done {
				continue
			}
			var by []string
			if r.Query != "" {
				by = append(by, "`?"+r.Query+"`")
			}
			if r.Header != "" {
				by = append(by, "`"+strings.ToLower(r.Header)+"`")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |", r.Operation, r.Method, r.Level, strings.Join(by, ", "))
			if done {
				fmt.Fprintf(&b, " %d |", r.Success)
			}
			b.WriteByte('\n')
		}
	}
	b.WriteString(docsTail)
	b.WriteString(docsSuite)
	return b.String()
}
