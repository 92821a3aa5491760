package s3api

import (
	"net/http"

	"github.com/weftstore/weft/internal/tracing"
)

// endSpan says what became of a request that is traced. The key of the object is not
// in it: the audit log has that, under the same request id.
func (c *call) endSpan(span tracing.Span, failed *Error) {
	if c.route != nil {
		span.Name("S3." + c.route.Operation)
		span.String("rpc.method", c.route.Operation)
	}
	span.String("http.request.method", c.r.Method)
	span.String("aws.request_id", c.id)
	if plausibleBucketName(c.bucket) {
		span.String("aws.s3.bucket", c.bucket)
	}
	if c.auth != nil {
		span.String("weft.account", c.who().Account)
	}
	span.Int("http.response.status_code", int64(c.w.status))
	span.Int("http.request.body.size", c.wire.n)
	span.Int("http.response.body.size", c.w.sent)
	if failed != nil {
		span.String("error.type", failed.Code)
		if failed.Status >= http.StatusInternalServerError {
			span.Fail(failed.Code)
		}
	}
	span.End()
}
