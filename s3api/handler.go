package s3api

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/accesslog"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Handler answers S3 requests. It implements http.Handler without a ServeMux,
// which would clean paths that are keys. Safe for concurrent use.
type Handler struct {
	cfg     Config
	router  *router
	buckets bucketStates
	slots   chan struct{} // one for each request at work
	started uint64        // random start of request ids
	serial  atomic.Uint64
	hostID  []string // shared value of x-amz-id-2
	server  []string
	logs    *accesslog.Log
	// putRoute is PutObject, for access logs.
	putRoute *Route
}

// New returns a handler. The error lists what is missing in cfg.
func New(cfg Config) (*Handler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Handler{
		cfg:     cfg,
		router:  newRouter(table()),
		slots:   make(chan struct{}, cfg.Limits.Requests),
		started: rand.Uint64(),
		hostID:  []string{cfg.HostID},
		server:  []string{"Weft"},
	}
	h.logs = accesslog.New(accesslog.Options{Region: cfg.Region, Every: cfg.LogEvery, Put: h.deliverLog, Now: cfg.Now, Logger: cfg.Logger})
	h.putRoute = h.router.find(http.MethodPut, ObjectLevel, &query{}, nil)
	return h, nil
}

// call is one request on its way through the pipeline. It belongs to the
// request's goroutine.
type call struct {
	h   *Handler
	w   response
	r   *http.Request
	ctx context.Context
	id  string
	target
	route    *Route
	query    query
	auth     *sigv4.Result
	body     *sigv4.Body
	state    *bucketState // of the bucket, from authorize on; nil without one and in CreateBucket
	wire     progressReader
	ask      question // memory of authorize
	document asked
	turn     turn
	given    *acl      // the list of what a service writes; nil: what the headers ask for
	judged   judgement // of the object that the request is about
	source   judgement // of the object that it copies or renames

	// vals backs the one-element header values, so that they cost no allocation.
	vals  [24]string
	nvals int
}

// ServeHTTP runs the pipeline.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/healthz/") && h.health(w, r) {
		return
	}
	start := h.cfg.Now()
	c := &call{h: h, r: r, ctx: r.Context(), id: h.requestID()}
	c.w.init(w, &h.cfg)
	if h.cfg.Gate != nil || h.cfg.Meter != nil {
		c.w.moved, c.wire.moved = c, c
	}
	c.set("X-Amz-Request-Id", c.id)
	header := w.Header()
	header["X-Amz-Id-2"] = h.hostID
	header["Server"] = h.server
	c.wire.init(r.Body, &c.w)
	defer c.wire.abandon()
	if r.ProtoMajor == 1 {
		c.w.body = &c.wire
	}

	var failed *Error
	var cause error
	var span tracing.Span
	if c.ctx, span = h.cfg.Tracer.Request(c.ctx, "S3", r.Header.Get("Traceparent")); span.Recorded() {
		defer func() { c.endSpan(span, failed) }()
	}
	defer func() {
		c.logRequest(start, failed)
		if h.cfg.Events.Access != nil {
			h.access(c, start, failed, cause)
		}
	}()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		cause = c.serve()
	default:
		c.set("Retry-After", "1")
		cause = errSlowDown
	}
	if cause != nil {
		failed = c.fail(cause)
	}
}

// serve runs everything between the request id and the encoding of errors.
func (c *call) serve() error {
	r := c.r
	var err error
	if c.query, err = parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if c.target, err = parseTarget(r.Host, r.URL.Path, r.URL.RawPath, c.h.cfg.Domains); err != nil {
		return err
	}
	c.route = c.h.router.find(r.Method, c.level(), &c.query, r.Header)
	c.share()
	if err = c.authenticate(); err != nil {
		return err
	}
	if err = c.enter(); err != nil {
		return err
	}
	defer c.turn.ticket.Leave()
	if err = c.authorize(); err != nil {
		return err
	}
	if err = c.checkHeaders(); err != nil {
		return err
	}
	c.withOrigin()
	err = c.hide(c.route.run(c))
	if errors.Is(err, metadata.ErrReplaced) {
		c.h.buckets.forget(c.bucket) // the next try is about the new one
	}
	return err
}

// IsService tells whether a request is about the service and no bucket of it.
func (h *Handler) IsService(r *http.Request) bool {
	t, err := parseTarget(r.Host, r.URL.Path, r.URL.RawPath, h.cfg.Domains)
	return err == nil && t.level() == Service
}

// plausibleBucketName keeps nonsense away from the stores. It is wider than what
// CreateBucket accepts, because the rules of AWS became narrower with time.
func plausibleBucketName(name string) bool {
	if len(name) < 3 || len(name) > 255 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// authenticate finds out who asks. Nothing of the body is read yet: a client that
// waits for 100 Continue has sent nothing if this fails.
func (c *call) authenticate() error {
	if c.r.Method == http.MethodOptions {
		c.auth = &sigv4.Result{} // a query that is signed is so for another method
		return nil
	}
	res, err := c.h.cfg.Auth.Verify(c.r)
	if err != nil && !errors.Is(err, sigv4.ErrAnonymous) {
		return err
	}
	if res == nil {
		return errAccessDenied
	}
	c.auth = res
	if res.Identity.Presigned {
		return c.hoist()
	}
	return nil
}

// hoist makes headers of the x-amz-* parameters of a presigned URL: S3 gives both
// the same meaning, and SDKs move what they sign from one to the other. A header
// that is there wins, since it is signed as well.
func (c *call) hoist() error {
	for i := range c.query.pairs {
		p := &c.query.pairs[i]
		if len(p.name) < 7 || !strings.EqualFold(p.name[:6], "X-Amz-") {
			continue
		}
		name := http.CanonicalHeaderKey(p.name)
		switch name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signedheaders", "X-Amz-Signature",
			"X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer", "X-Amz-Sdk-Checksum-Algorithm":
			continue
		case copySourceHeader:
			return errNotImplemented // the route is chosen by the header
		}
		if len(c.r.Header[name]) == 0 {
			c.r.Header[name] = []string{p.value}
		}
	}
	return nil
}

// openBody makes the payload readable; operations that take one call it before
// anything else that costs.
func (c *call) openBody() error {
	// net/http looks at r.Body when it decides whether to drain an unread body, so
	// the one that it made must be back there.
	inner := c.r.Body
	c.r.Body = &c.wire
	body, err := c.auth.Body(c.r)
	c.r.Body = inner
	if err != nil {
		return err
	}
	c.body = body
	return nil
}

// requestID is 16 hexadecimal digits: a serial number from a random start, so
// that it is unique without a lock or a read of randomness.
func (h *Handler) requestID() string {
	n := h.started + h.serial.Add(1)*0x9e3779b97f4a7c15
	var raw [8]byte
	var out [16]byte
	for i := range raw {
		raw[i] = byte(n >> (56 - 8*i))
	}
	hex.Encode(out[:], raw[:])
	for i, b := range out {
		if b >= 'a' {
			out[i] = b - 'a' + 'A'
		}
	}
	return string(out[:])
}

// set puts a response header in MIME form (or, for metadata, as it shall appear).
func (c *call) set(name, value string) {
	header := c.w.Header()
	if c.nvals == len(c.vals) {
		header[name] = []string{value}
		return
	}
	c.vals[c.nvals] = value
	header[name] = c.vals[c.nvals : c.nvals+1 : c.nvals+1]
	c.nvals++
}

// health answers the probes of orchestrators, without authentication. Other
// paths below /healthz/ are S3's.
func (h *Handler) health(w http.ResponseWriter, r *http.Request) bool {
	var err error
	switch r.URL.Path {
	case "/healthz/live":
	case "/healthz/ready":
		if h.cfg.Ready != nil {
			err = h.cfg.Ready()
		}
	default:
		return false
	}
	if r.ContentLength != 0 { // nobody waits for it
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.Limits.ProgressWindow))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		h.cfg.Logger.Warn("not ready", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready\n"))
		return true
	}
	_, _ = w.Write([]byte("ok\n"))
	return true
}

func (h *Handler) access(c *call, start time.Time, failed *Error, cause error) {
	a := Access{RequestID: c.id, Method: c.r.Method, Remote: c.r.RemoteAddr, Bucket: c.bucket, Key: c.key,
		Status: c.w.status, Sent: c.w.sent, Received: c.wire.n, Duration: h.cfg.Now().Sub(start)}
	if c.route != nil {
		a.Operation = c.route.Operation
		if a.Operation == "RenameObject" {
			a.Source, _ = c.renameSource()
		}
	}
	if c.auth != nil {
		who := c.who()
		a.AccessKey, a.Account = c.auth.Identity.AccessKey, who.Account
		if len(who.ARNs) > 0 {
			a.Principal = who.ARNs[0]
		}
	}
	if failed != nil {
		a.Code = failed.Code
	}
	if failed == nil || failed.Status >= http.StatusInternalServerError {
		a.Err = cause
	}
	h.cfg.Events.Access(a)
}
