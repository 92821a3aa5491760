package s3api

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/accesslog"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// loggingService is who writes access logs, in policies of the buckets that take them.
const loggingService = "logging.s3.amazonaws.com"

// AccessLogs gathers the access logs of buckets. The caller has it Run, and Flush when
// no request comes any more.
func (h *Handler) AccessLogs() *accesslog.Log { return h.logs }

// deliverLog puts a piece of log into its target as the logging service, by the way of
// every PutObject: the target's policy, encryption and quota count. It is no request of a
// client and so not in any log itself.
func (h *Handler) deliverLog(ctx context.Context, o *accesslog.Object) error {
	who := &Principal{Principal: policy.Principal{Service: loggingService}, SourceARN: "arn:aws:s3:::" + o.Bucket, SourceAccount: o.Account}
	r := (&http.Request{
		Method: http.MethodPut, URL: &url.URL{Path: "/" + o.Target + "/" + o.Key}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, ContentLength: int64(len(o.Body)), Body: io.NopCloser(bytes.NewReader(o.Body)),
		TLS: &tls.ConnectionState{Version: tls.VersionTLS13}, // it never leaves the process
	}).WithContext(ctx)
	c := &call{h: h, r: r, ctx: ctx, id: h.requestID(), target: target{bucket: o.Target, key: o.Key}, route: h.putRoute,
		auth: &sigv4.Result{Mode: sigv4.PayloadUnsigned, Identity: sigv4.Identity{AccessKey: loggingService, Owner: who}}}
	c.w.init(&nobody{header: http.Header{}}, &h.cfg)
	c.wire.init(r.Body, &c.w)
	err := c.authorize()
	if err == nil && c.state.owner != o.Account {
		err = errAccessDenied
	}
	if errors.Is(err, errAccessDenied) || errors.Is(err, metadata.ErrNoSuchBucket) {
		return errors.Join(accesslog.ErrRefused, err)
	}
	if err != nil {
		return err
	}
	if o.Grants != "" {
		c.given = h.privateACL(o.Account)
		grants, err := decodeGrants(o.Grants)
		if err != nil {
			return err
		}
		c.given.Grants = append(c.given.Grants, grants...)
	}
	c.withOrigin()
	return c.route.run(c)
}

// nobody is the client of a delivery.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n *nobody) WriteHeader(int)             {}

// logRequest adds a request to the logs of its bucket, and a copy to those of its source.
func (c *call) logRequest(start time.Time, failed *Error) {
	if c.route == nil || c.bucket == "" {
		return
	}
	if s := c.logged(c.state, c.bucket); s != nil {
		code := ""
		if failed != nil {
			code = failed.Code
		}
		version := c.w.Header().Get("X-Amz-Version-Id")
		if version == "" {
			version = c.query.get("versionId")
		}
		c.h.logs.Add(*s.logging, c.logRecord(s, start, logOperation(c.route), c.key, version, c.w.status, code))
	}
	if c.route.Header != copySourceHeader || len(c.r.Header[copySourceHeader]) == 0 {
		return
	}
	src, err := parseCopySource(c.r.Header[copySourceHeader][0])
	if s := c.logged(nil, src.bucket); err == nil && s != nil {
		rec := c.logRecord(s, start, logOperation(c.route)+"_GET", src.key, src.versionID, c.w.status, "")
		if failed != nil {
			rec.Code = failed.Code
		}
		c.h.logs.Add(*s.logging, rec)
	}
}

// logged is what is known of a bucket whose requests are logged; nil for another. The
// state of a bucket that authorization did not come to is not read for this.
func (c *call) logged(state *bucketState, name string) *bucketState {
	if state == nil {
		state = c.h.buckets.peek(name)
	}
	if state == nil || state.logging == nil {
		return nil
	}
	return state
}

// logDeleted adds a key of DeleteObjects to the log.
func (c *call) logDeleted(item *metadata.DeleteItem, failed *Error) {
	s := c.logged(c.state, c.bucket)
	if s == nil {
		return
	}
	status, code := http.StatusNoContent, ""
	if failed != nil {
		status, code = failed.Status, failed.Code
	}
	rec := c.logRecord(s, c.h.cfg.Now(), "BATCH.DELETE.OBJECT", item.Key, item.VersionID, status, code)
	rec.Method, rec.Sent, rec.ObjectSize, rec.Total, rec.Turnaround = "", -1, -1, -time.Millisecond, -time.Millisecond // as S3 has them
	c.h.logs.Add(*s.logging, rec)
}

func (c *call) logRecord(s *bucketState, start time.Time, operation, key, version string, status int, code string) *accesslog.Record {
	r, end := c.r, c.h.cfg.Now()
	rec := &accesslog.Record{
		Owner: c.h.canonicalID(s.owner), Bucket: s.Name, Time: start, RequestID: c.id, Operation: operation, Key: key,
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Proto: r.Proto, Status: status, Code: code,
		Sent: c.w.sent, ObjectSize: c.logSize(), Total: end.Sub(start), Turnaround: c.turnaround(start, end),
		Referer: r.Referer(), UserAgent: r.UserAgent(),
		VersionID: version, HostID: c.h.cfg.HostID, Host: r.Host,
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		rec.RemoteIP = host
	}
	if c.auth != nil && c.who() != anonymous {
		who := c.who()
		rec.Requester, rec.Signature, rec.Auth = c.h.canonicalID(who.Account), "SigV4", "AuthHeader"
		if !who.Root && len(who.ARNs) > 0 {
			rec.Requester = who.ARNs[0]
		}
		if c.auth.Identity.Presigned {
			rec.Auth = "QueryString"
		}
	}
	if r.TLS != nil {
		rec.TLS = strings.Replace(tls.VersionName(r.TLS.Version), "TLS 1", "TLSv1", 1)
		rec.Cipher = tls.CipherSuiteName(r.TLS.CipherSuite)
	}
	return rec
}

// turnaround is the time from the last byte of the request to the first of the answer's
// body, or to its end without one; negative for a request that did not come to its end.
func (c *call) turnaround(start, end time.Time) time.Duration {
	from, to := c.wire.ended, c.w.began
	if c.wire.n == 0 {
		from = start
	}
	if to.IsZero() {
		to = end
	}
	if from.IsZero() {
		return -time.Millisecond
	}
	return to.Sub(from)
}

// logSize is the size of the object that was read or written, -1 when it is not known.
func (c *call) logSize() int64 {
	if c.route.Level != ObjectLevel || c.w.status < 200 || c.w.status > 299 {
		return -1
	}
	switch c.route.Operation {
	case "PutObject", "UploadPart":
		if c.body != nil {
			return c.body.Length()
		}
	case "GetObject", "HeadObject":
		size := c.w.Header().Get("Content-Length")
		if _, total, ok := strings.Cut(c.w.Header().Get("Content-Range"), "/"); ok {
			size = total
		}
		if n, err := strconv.ParseInt(size, 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// logNames are the operations that S3 does not call after their parameter.
var logNames = map[string]string{
	"CopyObject": "REST.COPY.OBJECT", "UploadPartCopy": "REST.COPY.PART", "UploadPart": "REST.PUT.PART", "PostObject": "REST.POST.OBJECT",
	"CompleteMultipartUpload": "REST.POST.UPLOAD", "AbortMultipartUpload": "REST.DELETE.UPLOAD", "ListParts": "REST.GET.UPLOAD",
	"DeleteObjects": "REST.POST.MULTI_OBJECT_DELETE", "ListObjectsV2": "REST.GET.BUCKET", "ListObjectVersions": "REST.GET.BUCKETVERSIONS",
	"GetObjectTagging": "REST.GET.OBJECT_TAGGING", "PutObjectTagging": "REST.PUT.OBJECT_TAGGING", "DeleteObjectTagging": "REST.DELETE.OBJECT_TAGGING",
	"GetBucketPolicy": "REST.GET.BUCKETPOLICY", "PutBucketPolicy": "REST.PUT.BUCKETPOLICY", "DeleteBucketPolicy": "REST.DELETE.BUCKETPOLICY",
	"GetBucketLogging": "REST.GET.LOGGING_STATUS", "PutBucketLogging": "REST.PUT.LOGGING_STATUS",
	"GetBucketRequestPayment": "REST.GET.REQUEST_PAYMENT", "PutBucketRequestPayment": "REST.PUT.REQUEST_PAYMENT",
	"GetPublicAccessBlock": "REST.GET.PUBLIC_ACCESS_BLOCK", "PutPublicAccessBlock": "REST.PUT.PUBLIC_ACCESS_BLOCK",
	"DeletePublicAccessBlock": "REST.DELETE.PUBLIC_ACCESS_BLOCK", "GetBucketPolicyStatus": "REST.GET.POLICY_STATUS",
	"GetObjectLockConfiguration": "REST.GET.OBJECT_LOCK_CONFIGURATION", "PutObjectLockConfiguration": "REST.PUT.OBJECT_LOCK_CONFIGURATION",
	"OptionsBucket": "REST.OPTIONS.PREFLIGHT", "OptionsObject": "REST.OPTIONS.PREFLIGHT",
}

// logOperation is what access logs call a route: REST, the method, and the resource.
func logOperation(r *Route) string {
	if name := logNames[r.Operation]; name != "" {
		return name
	}
	what := r.Level.String()
	if r.Query != "" {
		what = strings.ReplaceAll(r.Query, "-", "_")
	}
	return "REST." + r.Method + "." + strings.ToUpper(what)
}
