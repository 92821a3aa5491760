package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials are an access key and its secret.
type Credentials struct{ AccessKey, SecretKey string }

// Key is what a Lookup knows of an access key.
type Key struct {
	Secret string
	// Owner is passed on in [Identity]; this package does not look at it.
	Owner any
}

// Lookup finds an access key. token is the session token that came with it, "" for none. It must be safe for concurrent use; it is
// asked once for each request, so that a revoked key stops working as soon as it says so. ErrInvalidAccessKeyID for a key
// that is unknown or may not be used, ErrInvalidToken and ErrExpiredToken for its token; any other error is passed on.
type Lookup func(ctx context.Context, accessKey, token string) (Key, error)

// Verifier authenticates requests. Fields must not change once it is in use.
type Verifier struct {
	// Region is the region that credential scopes must name. Empty accepts any.
	Region string
	// AlsoRegions are further regions to accept, such as "us-east-1" for clients that were told none.
	AlsoRegions []string
	// Services are those that credential scopes may name; nil is "s3".
	Services []string
	// Lookup finds secrets. Nil knows no keys.
	Lookup Lookup
	// Now is the clock, time.Now if nil.
	Now func() time.Time

	keys keyCache
}

// Identity is who signed a request.
type Identity struct {
	AccessKey string // empty for an anonymous request
	Presigned bool   // the signature was in the query
	Posted    bool   // the signature was in a form
	Version2  bool   // that of the form was of version 2
	Owner     any    // what Lookup said; nil for an anonymous request
}

// Result is the outcome of a verification. It refers to the request's strings and is read-only.
type Result struct {
	Identity Identity
	Mode     PayloadMode

	sum   [sha256.Size]byte // of the payload, with PayloadSigned
	key   *signingKey       // nil for an anonymous request
	stamp string
	scope string
	seed  string // signature of the request, which the first chunk's covers
}

// Verify authenticates a request by its header or query. r must be as the server received it. The error is an [*Error], or
// [ErrAnonymous] for a request without credentials; then, too, the Result is there, for its Body.
func (v *Verifier) Verify(r *http.Request) (*Result, error) {
	s := getScratch()
	defer s.release()
	if err := s.query.parse(r.URL.RawQuery); err != nil {
		return nil, err
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	header := r.Header["Authorization"]
	var a authorization
	var err error
	switch {
	case len(header) > 1 || len(header) == 1 && (s.query.presigned() || s.query.version2):
		return nil, errOneMechanism
	case len(header) == 1:
		a, err = fromHeader(header[0], r.Header, now(), "")
	case s.query.presigned():
		a, err = fromQuery(&s.query, r.Header, now())
	case s.query.version2:
		return nil, errMechanism
	default:
		return anonymous(r)
	}
	if err != nil {
		return nil, err
	}
	return v.verify(r, s, &a)
}

// anonymous lets a request without credentials use every payload mode that needs none: SDKs send unsigned trailers then, too.
func anonymous(r *http.Request) (*Result, error) {
	res := &Result{Mode: PayloadUnsigned}
	if p := r.Header.Get("X-Amz-Content-Sha256"); p != "" {
		var err error
		if res.Mode, res.sum, err = parsePayload(p); err != nil {
			return nil, err
		}
		if res.Mode == PayloadChunkedSigned || res.Mode == PayloadChunkedSignedTrailer {
			return nil, ErrInvalidRequest.saying("A streaming signed payload requires a signed request.")
		}
	}
	return res, ErrAnonymous
}

// fromHeader checks all of a header-signed request that needs no key. payload is the last line of the canonical request, "" when a
// header says it.
func fromHeader(h string, header http.Header, now time.Time, payload string) (authorization, error) {
	a, err := parseHeader(h)
	if err != nil {
		return a, err
	}
	if !validSignedHeaders(a.signedHeaders) {
		return a, malformed("SignedHeaders must be at most 100 header names in lower case, sorted.")
	}
	stamp, t, err := stampOf(header)
	if err != nil {
		return a, err
	}
	a.stamp = stamp
	if d := now.Sub(t); d > maxSkew || d < -maxSkew {
		return a, ErrRequestTimeTooSkewed.with(Field{"RequestTime", stamp},
			Field{"ServerTime", now.UTC().Format(time.RFC3339)}, Field{"MaxAllowedSkewMilliseconds", "900000"})
	}
	if a.credential.date != stamp[:len(dateLayout)] {
		return a, malformed("Invalid credential date \"", a.credential.date, "\". This date is not the same as X-Amz-Date: \"",
			stamp[:len(dateLayout)], "\".")
	}
	given := header["X-Amz-Content-Sha256"]
	switch {
	case payload == "" && len(given) != 1:
		return a, errNoSHA256
	case payload != "" && len(given) > 0 && (len(given) > 1 || given[0] != payload):
		return a, ErrContentSHA256Mismatch
	case payload == "":
		payload = given[0]
	}
	a.payload = payload
	return a, nil
}

// fromQuery checks all of a presigned request that needs no key.
func fromQuery(q *query, header http.Header, now time.Time) (authorization, error) {
	a := authorization{presigned: true, signedHeaders: q.auth[qSignedHeaders], signature: q.auth[qSignature], stamp: q.auth[qDate]}
	for i := qAlgorithm; i <= qSignature; i++ {
		if q.auth[i] == "" {
			return a, ErrQueryParameters
		}
	}
	if q.duplicate {
		return a, ErrQueryParameters.saying("An X-Amz authentication query parameter occurs more than once")
	}
	if q.auth[qAlgorithm] != algorithm {
		return a, ErrQueryParameters.saying("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
	}
	var ok bool
	if a.credential, ok = parseCredential(q.auth[qCredential]); !ok {
		return a, ErrQueryParameters.saying("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	if !validSignedHeaders(a.signedHeaders) {
		return a, ErrQueryParameters.saying("X-Amz-SignedHeaders must be at most 100 header names in lower case, sorted")
	}
	if err := checkExpiry(a.stamp, q.auth[qExpires], now); err != nil {
		return a, err
	}
	if a.credential.date != a.stamp[:len(dateLayout)] {
		return a, ErrQueryParameters.saying("Invalid credential date \"", a.credential.date,
			"\". This date is not the same as X-Amz-Date: \"", a.stamp[:len(dateLayout)], "\".")
	}
	if a.token = q.auth[qSecurityToken]; q.present[qSecurityToken] && a.token == "" {
		return a, ErrInvalidToken
	}
	a.payload = "UNSIGNED-PAYLOAD"
	if p := header["X-Amz-Content-Sha256"]; len(p) == 1 { // it must be signed like every x-amz-* header
		a.payload = p[0]
	} else if q.present[qContentSHA256] {
		a.payload = q.auth[qContentSHA256]
	}
	return a, nil
}

func checkExpiry(stamp, expires string, now time.Time) error {
	t, err := time.Parse(stampLayout, stamp)
	if err != nil {
		return ErrQueryParameters.saying("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	n, err := strconv.ParseInt(expires, 10, 64)
	switch {
	case err != nil || expires[0] == '+':
		return ErrQueryParameters.saying("X-Amz-Expires should be a number")
	case n < 0:
		return ErrQueryParameters.saying("X-Amz-Expires must be non-negative")
	case n == 0:
		return ErrQueryParameters.saying("X-Amz-Expires must be at least one second")
	case n > int64(maxExpires/time.Second):
		return ErrQueryParameters.saying("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	end := t.Add(time.Duration(n) * time.Second)
	server := Field{"ServerTime", now.UTC().Format(time.RFC3339)}
	if now.After(end) {
		return errExpired.with(Field{"X-Amz-Expires", expires}, Field{"Expires", end.Format(time.RFC3339)}, server)
	}
	if t.Sub(now) > maxSkew {
		return errNotYet.with(Field{"Request", stamp}, server)
	}
	return nil
}

// verify checks scope, key, signed headers and signature.
func (v *Verifier) verify(r *http.Request, s *scratch, a *authorization) (*Result, error) {
	if err := v.checkScope(a); err != nil {
		return nil, err
	}
	res := &Result{Identity: Identity{AccessKey: a.credential.accessKey, Presigned: a.presigned},
		stamp: a.stamp, scope: a.credential.scope, seed: a.signature}
	var err error
	if res.Mode, res.sum, err = parsePayload(a.payload); err != nil {
		return nil, err
	}
	key, err := v.lookup(r, a)
	if err != nil {
		return nil, err
	}
	res.Identity.Owner = key.Owner
	signed := s.buildCanonical(r, a.signedHeaders, a.payload)
	if signed != amzHeaders(r.Header) || !listed(a.signedHeaders, "host") {
		return nil, errNotSigned.with(Field{"HeadersNotSigned", unsigned(r.Header, a.signedHeaders)})
	}
	s.buildStringToSign(a.stamp, a.credential.scope)
	res.key = v.keys.get(a.credential, key.Secret)
	want := res.key.sign(s.hex[:0], s.toSign, &s.sum)
	if !equalHex(want, a.signature) {
		return nil, mismatch(s, a)
	}
	return res, nil
}

// lookup finds the key of a request, with the session token of its header or its query.
func (v *Verifier) lookup(r *http.Request, a *authorization) (Key, error) {
	token := a.token
	switch h := r.Header["X-Amz-Security-Token"]; {
	case len(h) > 1 || len(h) == 1 && (token != "" || h[0] == ""):
		return Key{}, ErrInvalidToken
	case len(h) == 1:
		token = h[0]
	}
	key, err := Key{}, error(ErrInvalidAccessKeyID)
	if v.Lookup != nil {
		key, err = v.Lookup(r.Context(), a.credential.accessKey, token)
	}
	if errors.Is(err, ErrInvalidAccessKeyID) {
		return key, ErrInvalidAccessKeyID.with(Field{"AWSAccessKeyId", clip(a.credential.accessKey)})
	}
	return key, err
}

// equalHex compares a signature with the one that a client sent, in constant time for any of the right length.
func equalHex(want []byte, given string) bool {
	var b [2 * sha256.Size]byte
	return len(given) == copy(b[:], given) && subtle.ConstantTimeCompare(want, b[:]) == 1
}

func (v *Verifier) checkScope(a *authorization) error {
	say := malformed
	if a.presigned {
		say = func(parts ...string) *Error {
			return ErrQueryParameters.saying("Error parsing the X-Amz-Credential parameter; " + strings.Join(parts, ""))
		}
	}
	c := &a.credential
	switch {
	case v.Region != "" && c.region != v.Region && !slices.Contains(v.AlsoRegions, c.region):
		return say("the region '", clip(c.region), "' is wrong; expecting '", v.Region, "'").with(Field{"Region", v.Region})
	case !v.serves(c.service):
		return say("incorrect service \"", clip(c.service), "\". This endpoint belongs to \"", service, "\".")
	case c.terminal != terminal:
		return say("incorrect terminal \"", clip(c.terminal), "\". This endpoint uses \"aws4_request\".")
	}
	return nil
}

func (v *Verifier) serves(name string) bool {
	if v.Services == nil {
		return name == service
	}
	return slices.Contains(v.Services, name)
}

func listed(list, name string) bool {
	for n := range strings.SplitSeq(list, ";") {
		if n == name {
			return true
		}
	}
	return false
}

func unsigned(h http.Header, list string) string {
	var names []string
	if !listed(list, "host") {
		names = append(names, "host")
	}
	for k := range h {
		if name := strings.ToLower(k); isAmz(k) && !listed(list, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names[:min(len(names), maxSignedHeaders)], ", ")
}

// mismatch tells the client what was signed here, as AWS does: nothing in it that the client did not send or could not derive.
func mismatch(s *scratch, a *authorization) error {
	e := ErrSignatureDoesNotMatch.with(Field{"AWSAccessKeyId", a.credential.accessKey}, Field{"StringToSign", string(s.toSign)},
		Field{"SignatureProvided", clip(a.signature)}, Field{"StringToSignBytes", spaced(s.toSign)})
	if len(s.canonical) <= 8<<10 {
		shown := withoutSecrets(s.canonical)
		e = e.with(Field{"CanonicalRequest", string(shown)}, Field{"CanonicalRequestBytes", spaced(shown)})
	}
	return e
}

// secretNames are headers, and parameters of presigned URLs, whose values clients and proxies must not find in an error, which they log.
var secretNames = []string{"x-amz-security-token", "x-amz-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key"}

// withoutSecrets is a canonical request with the values of secretNames left out.
func withoutSecrets(canonical []byte) []byte {
	lines := strings.Split(string(canonical), "\n")
	for i, line := range lines {
		if i != 2 {
			lines[i] = withoutSecret(line, ":")
			continue
		}
		pairs := strings.Split(line, "&") // the query
		for j := range pairs {
			pairs[j] = withoutSecret(pairs[j], "=")
		}
		lines[i] = strings.Join(pairs, "&")
	}
	return []byte(strings.Join(lines, "\n"))
}

func withoutSecret(text, separator string) string {
	name, _, given := strings.Cut(text, separator)
	if given && slices.Contains(secretNames, strings.ToLower(name)) {
		return name + separator + "-"
	}
	return text
}

// spaced is AWS's form of bytes in error documents: two hex digits each, with spaces between.
func spaced(b []byte) string {
	out := make([]byte, 0, 3*len(b))
	for i := range b {
		if i > 0 {
			out = append(out, ' ')
		}
		out = hex.AppendEncode(out, b[i:i+1])
	}
	return string(out)
}
