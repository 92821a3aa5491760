package iamapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Config says what a Handler works with; all but Events and Logger are required.
type Config struct {
	Registry *identity.Registry
	Lookup   sigv4.Lookup
	Tokens   *oidc.Verifier
	Region   string
	// Next gets what is not IAM's or STS's.
	Next http.Handler
	// IsService tells whether a request is about no bucket.
	IsService func(*http.Request) bool
	// Access is told of every request, as for S3; nil is not.
	Access func(s3api.Access)
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
	// Requests at work at once; 0 is 256. An account has at most a quarter of them.
	Requests int
}

// Handler is an http.Handler.
type Handler struct {
	cfg   Config
	auth  sigv4.Verifier
	slots chan struct{}
	large chan struct{} // bodies beyond smallBody that are read

	mu   sync.Mutex
	busy map[string]int // requests at work, by account
}

// New makes a Handler.
func New(cfg Config) *Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Requests <= 0 {
		cfg.Requests = 256
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{cfg: cfg, slots: make(chan struct{}, cfg.Requests), large: make(chan struct{}, cfg.Requests), busy: map[string]int{}}
	// Clients sign for IAM, which has no regions, as in us-east-1.
	h.auth = sigv4.Verifier{Region: cfg.Region, AlsoRegions: []string{"us-east-1"}, Services: []string{"iam", "sts"}, Lookup: cfg.Lookup, Now: cfg.Now}
	return h
}

// ours tells IAM's and STS's requests from S3's.
func (h *Handler) ours(r *http.Request) bool {
	if r.Method != http.MethodPost || r.URL.Path != "/" && r.URL.Path != "" {
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	inQuery := strings.Contains(r.URL.RawQuery, "Action=")
	return (inQuery || err == nil && kind == "application/x-www-form-urlencoded" && r.URL.RawQuery == "") && h.cfg.IsService(r)
}

// query is one request on its way.
type query struct {
	h       *Handler
	ctx     context.Context
	r       *http.Request
	form    url.Values
	id      string
	who     *s3api.Principal
	access  string // key that signed
	account string // of who
}

// anonymous is who did not sign.
var anonymous = &s3api.Principal{}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.ours(r) {
		h.cfg.Next.ServeHTTP(w, r)
		return
	}
	start := h.cfg.Now()
	q := &query{h: h, ctx: r.Context(), r: r, who: anonymous, id: requestID()}
	w.Header().Set("X-Amzn-Requestid", q.id)
	status, sent, code := 0, 0, ""
	body, cause := q.read(w)
	if cause == nil {
		var leave func()
		if leave, cause = q.enter(body); cause == nil {
			defer leave()
			var result any
			var name string
			if name, result, cause = q.serve(); cause == nil {
				status, sent = http.StatusOK, q.answer(w, name, result)
			}
		}
	}
	if cause != nil {
		e := errorOf(cause)
		code, status = e.Code, e.Status
		sent = q.fail(w, e)
		if status >= http.StatusInternalServerError {
			h.cfg.Logger.Error("request failed", "id", q.id, "op", q.operation(), "err", cause)
		}
	}
	if h.cfg.Access == nil {
		return
	}
	a := s3api.Access{RequestID: q.id, Operation: q.operation(), Method: r.Method, Remote: r.RemoteAddr, AccessKey: q.access, Account: q.account,
		Status: status, Code: code, Sent: int64(sent), Received: max(r.ContentLength, 0), Duration: h.cfg.Now().Sub(start)}
	if len(q.who.ARNs) > 0 {
		a.Principal = q.who.ARNs[0]
	}
	h.cfg.Access(a)
}

// operation is the name of a known action, else "".
func (q *query) operation() string {
	name := q.form.Get("Action")
	if _, ok := actions[name]; !ok {
		return ""
	}
	return name
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// read reads the body. Who sends it is not known yet and may be slow, so it takes none of the
// places at work, and a long one a place of its own.
func (q *query) read(w http.ResponseWriter) ([]byte, error) {
	rc := http.NewResponseController(w)
	deadline := time.Now().Add(bodyWithin)
	_ = rc.SetReadDeadline(deadline) // writers of tests have none
	_ = rc.SetWriteDeadline(deadline)
	from := http.MaxBytesReader(w, q.r.Body, MaxBody)
	body, err := io.ReadAll(io.LimitReader(from, smallBody))
	if err == nil && len(body) == smallBody {
		select {
		case q.h.large <- struct{}{}:
			defer func() { <-q.h.large }()
		default:
			// net/http reads the rest first, until the deadline.
			w.Header().Set("Connection", "close")
			return nil, errThrottling
		}
		var rest []byte
		rest, err = io.ReadAll(from)
		body = append(body, rest...)
	}
	if err != nil {
		return nil, errBody
	}
	_ = rc.SetReadDeadline(time.Time{})
	return body, nil
}

// enter finds out who asks and takes a place, which leave gives back.
func (q *query) enter(body []byte) (leave func(), err error) {
	h := q.h
	select {
	case h.slots <- struct{}{}:
	default:
		return nil, errThrottling
	}
	defer func() {
		if err != nil {
			<-h.slots
		}
	}()
	if err := q.parse(body); err != nil {
		return nil, err
	}
	if err := q.authenticate(body); err != nil {
		return nil, err
	}
	account := q.account
	if q.form.Get("Action") == "AssumeRoleWithWebIdentity" { // it waits for a provider of the role's account
		account, _, _ = roleOf(q.param("RoleArn"))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[account] >= max(1, cap(h.slots)/4) {
		return nil, errThrottling
	}
	h.busy[account]++
	return func() {
		<-h.slots
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.busy[account]--; h.busy[account] == 0 {
			delete(h.busy, account)
		}
	}, nil
}

// serve runs the action.
func (q *query) serve() (string, any, error) {
	name := q.form.Get("Action")
	a, ok := actions[name]
	if !ok {
		return name, nil, errInvalidAction.saying("Could not find operation " + clip(name) + " for version " + clip(q.form.Get("Version")))
	}
	if err := q.authorize(&a, name); err != nil {
		return name, nil, err
	}
	result, err := a.run(q)
	return name, result, err
}

// parse reads the form and the parameters of the URL; none may be there twice.
func (q *query) parse(body []byte) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return errMalformed
	}
	more, err := url.ParseQuery(q.r.URL.RawQuery)
	if err != nil || len(form)+len(more) > maxParams {
		return errMalformed
	}
	for name, values := range more {
		form[name] = append(form[name], values...)
	}
	for _, values := range form {
		if len(values) != 1 {
			return errMalformed
		}
	}
	q.form = form
	return nil
}

func (q *query) authenticate(body []byte) error {
	res, err := q.h.auth.VerifyForm(q.r, body)
	if errors.Is(err, sigv4.ErrAnonymous) {
		return nil
	}
	if err != nil {
		return err
	}
	p, ok := res.Identity.Owner.(*s3api.Principal)
	if !ok || p == nil {
		return errAccessDenied
	}
	q.who, q.access, q.account = p, res.Identity.AccessKey, p.Account
	return nil
}

// authorize asks the policies of who signed. Actions that are open decide themselves.
func (q *query) authorize(a *action, name string) error {
	if a.open {
		return nil
	}
	if q.who == anonymous {
		return errMissingToken
	}
	on := "*"
	if a.on != nil {
		on = a.on(q)
	}
	ok, err := q.allowed(a.service+":"+name, on)
	if err != nil {
		return err
	}
	if !ok {
		return errAccessDenied.saying("User: " + q.who.ARNs[0] + " is not authorized to perform: " + a.service + ":" + name + " on resource: " + clip(on))
	}
	return nil
}

func (q *query) allowed(action, on string) (bool, error) {
	c := &resourceContext{Context: q.conditions(action), q: q, on: on}
	r := &policy.Request{Principal: &q.who.Principal, Action: action, Resource: on, Context: c}
	ok := policy.Decide(r, &policy.Policies{Identity: q.who.Policies, Session: q.who.Session, Owner: q.account})
	return ok && c.failed == nil, c.failed
}

// conditions are the globals, the policy that is attached or detached, and the tags that are
// put or removed.
func (q *query) conditions(action string) policy.Context {
	if strings.HasPrefix(action, "iam:Attach") || strings.HasPrefix(action, "iam:Detach") {
		arn := q.param("PolicyArn")
		if name, err := q.policyOf(arn); err == nil {
			arn = policyARN(q.account, name) // a built-in one has another ARN, too
		}
		return &trustContext{q.globals(), map[string][]string{"iam:policyarn": {arn}}}
	}
	return &trustContext{q.globals(), q.tagConditions(action)}
}

func (q *query) globals() *s3api.Globals {
	return &s3api.Globals{Request: q.r, Who: q.who, Owner: q.account, Region: q.h.cfg.Region, Now: q.h.cfg.Now}
}

// clip bounds what an answer repeats of the client's words.
func clip(s string) string { return s[:min(len(s), 256)] }
