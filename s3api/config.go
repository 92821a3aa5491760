package s3api

import (
	"errors"
	"log/slog"
	"time"

	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/s3api/fair"
)

// Config says what a [Handler] works with. Auth and the five stores are
// required; the zero value of everything else is a default.
type Config struct {
	Auth     Authenticator
	Buckets  Buckets
	Versions Versions
	Listings Listings
	Uploads  Uploads
	Objects  Objects

	// ObjectKeys has the keys of SSE-S3, KMS those of SSE-KMS. Without one such
	// requests are 501.
	ObjectKeys kms.Service
	KMS        kms.Service
	// Notify knows the destinations of events; nil: there are none.
	Notify Notifications
	// TrustHTTP takes customers' keys over plain HTTP from other hosts: TLS ends in front
	// of this server.
	TrustHTTP bool

	// Region is what the service calls its region, "us-east-1" if empty.
	Region string
	// Domains are host names under which buckets are host names in turn:
	// with "s3.example.org", bucket.s3.example.org is a bucket.
	Domains []string
	// OwnerID is the canonical id of the owner of everything; 64 hexadecimal
	// digits on AWS. A fixed value if empty.
	OwnerID string
	// Ownership is the ObjectOwnership of buckets that were told none:
	// BucketOwnerEnforced, without access control lists, if empty.
	Ownership string
	// HostID is sent as x-amz-id-2; the place to look for the request.
	HostID string
	// Ready answers /healthz/ready: nil means ready. Nil function: always ready.
	Ready func() error
	// Events tells what happens.
	Events Events
	// Logger gets what an operator must know. Nil discards.
	Logger *slog.Logger
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Gate shares the server among tenants, Meter keeps them within their rates; nil ones
	// do not.
	Gate  *fair.Gate
	Meter *fair.Meter
	// LogEvery is the longest that lines of access logs wait; 0 is 5 min.
	LogEvery time.Duration
	// Tracer records requests; nil records none.
	Tracer *tracing.Tracer
	// Limits bound what clients may use. Zero fields take the defaults.
	Limits Limits
}

// Limits bound the resources of one server.
type Limits struct {
	// Requests at work at once; more are answered 503 SlowDown. Default 4,096.
	Requests int
	// HeaderBytes bounds a request's header. Default 24 KiB.
	HeaderBytes int
	// HeaderTimeout bounds the time to send a header. Default 15 s.
	HeaderTimeout time.Duration
	// IdleTimeout closes connections without a request. Default 2 min.
	IdleTimeout time.Duration
	// ProgressBytes must move within each ProgressWindow, both ways, or the
	// request fails with RequestTimeout. Defaults 64 KiB and 30 s.
	ProgressBytes  int64
	ProgressWindow time.Duration
}

// Events are called at the end of things; nil ones are not. They run on the
// request's goroutine and must be quick.
type Events struct {
	// Access tells of every request that was answered or given up.
	Access func(Access)
}

// Access is what is said of a request. It holds no secret, token or signature.
type Access struct {
	RequestID string
	Operation string // the name in [Routes]; "" when none matched
	Method    string
	Remote    string // address of the client
	AccessKey string // who asked; "" for nobody
	Account   string // whose key that is; "" for nobody
	Principal string // ARN of who that is; "" for nobody
	Bucket    string
	Key       string
	Source    string // key in Bucket that RenameObject takes away; "" for all else
	Status    int    // as sent; 0 when the connection ended before
	Code      string // S3 error code; "" on success
	Sent      int64  // bytes of the response's body
	Received  int64  // bytes of the request's body, as on the wire
	Duration  time.Duration
	Err       error // what was behind an internal error, for the log
}

func (c Config) withDefaults() (Config, error) {
	if c.Auth == nil || c.Buckets == nil || c.Versions == nil || c.Listings == nil || c.Uploads == nil || c.Objects == nil {
		return c, errors.New("s3api: Auth, Buckets, Versions, Listings, Uploads and Objects are required")
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.OwnerID == "" {
		c.OwnerID = rootCanonical
	}
	if c.Ownership == "" {
		c.Ownership = ownerEnforced
	}
	if !validOwnership(c.Ownership) {
		return c, errors.New("s3api: Ownership must be BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter")
	}
	if c.HostID == "" {
		c.HostID = "weft"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.LogEvery <= 0 {
		c.LogEvery = 5 * time.Minute
	}
	c.Limits = c.Limits.withDefaults()
	return c, nil
}

func (l Limits) withDefaults() Limits {
	def := func(p *time.Duration, d time.Duration) {
		if *p <= 0 {
			*p = d
		}
	}
	if l.Requests <= 0 {
		l.Requests = 4096
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = 24 << 10
	}
	if l.ProgressBytes <= 0 {
		l.ProgressBytes = 64 << 10
	}
	def(&l.HeaderTimeout, 15*time.Second)
	def(&l.IdleTimeout, 2*time.Minute)
	def(&l.ProgressWindow, 30*time.Second)
	return l
}
