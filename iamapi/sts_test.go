package iamapi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/s3api/sigv4"
)

const object = "arn:aws:s3:::b/k"

func TestAssumeRole(t *testing.T) {
	r := newRig(t, nil)
	alice := r.user("alice", `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`)
	bob := r.user("bob", "")
	_, other := r.tenant("other")
	r.ok(r.root, "CreateRole", "RoleName", "reader", "MaxSessionDuration", "7200", "Tags.member.1.Key", "team", "Tags.member.1.Value", "x", "AssumeRolePolicyDocument", trust(`{"AWS":"`+r.account+`"}`, ""))
	r.ok(r.root, "PutRolePolicy", "RoleName", "reader", "PolicyName", "p", "PolicyDocument", doc(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","sts:AssumeRole"],"Resource":"*"}`))
	arn := identity.RoleARN(r.account, "reader")
	assume := []string{"RoleArn", arn, "RoleSessionName", "job-1"}
	got := r.ok(alice, "AssumeRole", assume...)
	s := session(got)
	if element(got, "Arn") != identity.SessionARN(r.account, "reader", "job-1") || !r.may(s, "s3:GetObject", object) || r.may(s, "s3:DeleteObject", object) {
		t.Error(got)
	}
	if got := r.ok(s, "GetCallerIdentity"); element(got, "Arn") != identity.SessionARN(r.account, "reader", "job-1") || element(got, "Account") != r.account || !strings.HasSuffix(element(got, "UserId"), ":job-1") {
		t.Error(got)
	}
	// The trust policy names the account: its users need a policy of their own.
	r.fails("AccessDenied", bob, "AssumeRole", assume...)
	r.fails("AccessDenied", other, "AssumeRole", assume...)
	r.fails("MissingAuthenticationToken", signer{}, "AssumeRole", assume...)
	r.fails("AccessDenied", alice, "AssumeRole", "RoleArn", arn+"x", "RoleSessionName", "job-1")
	r.fails("ValidationError", alice, "AssumeRole", "RoleArn", "nonsense", "RoleSessionName", "job-1")
	r.fails("ValidationError", alice, "AssumeRole", append(assume, "DurationSeconds", "7201")...)
	r.fails("ValidationError", alice, "AssumeRole", append(assume, "DurationSeconds", "899")...)
	r.fails("ValidationError", alice, "AssumeRole", "RoleArn", arn, "RoleSessionName", "a b")
	r.fails("ValidationError", s, "AssumeRole", append(assume, "DurationSeconds", "7200")...) // a chain has an hour
	r.fails("AccessDenied", s, "GetSessionToken")

	// A session's own policies limit it, inline and managed ones together.
	inline := session(r.ok(alice, "AssumeRole", append(assume, "Policy", doc(`{"Effect":"Allow","Action":["s3:GetObject","s3:DeleteObject"],"Resource":"*"}`))...))
	if !r.may(inline, "s3:GetObject", object) || r.may(inline, "s3:PutObject", object) || r.may(inline, "s3:DeleteObject", object) {
		t.Error("a session policy does not intersect")
	}
	both := session(r.ok(alice, "AssumeRole", append(assume, "PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "Policy", doc(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`))...))
	if !r.may(both, "s3:GetObject", object) || !r.may(both, "s3:PutObject", object) {
		t.Error("session policies do not add up")
	}
	r.fails("MalformedPolicyDocument", alice, "AssumeRole", append(assume, "Policy", "{}")...)
	r.fails("LimitExceeded", alice, "AssumeRole", append(assume, "Policy", doc(`{"Sid":"`+strings.Repeat("b", 2047)+`","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))...)

	// Conditions of trust, and who is named directly needs no policy of its own.
	r.ok(r.root, "UpdateAssumeRolePolicy", "RoleName", "reader", "PolicyDocument", trust(`{"AWS":"`+identity.UserARN(r.account, "bob")+`"}`, `{"StringEquals":{"sts:ExternalId":"ticket"}}`))
	r.fails("AccessDenied", bob, "AssumeRole", assume...)
	r.fails("AccessDenied", alice, "AssumeRole", append(assume, "ExternalId", "ticket")...)
	s2 := session(r.ok(bob, "AssumeRole", append(assume, "ExternalId", "ticket")...))
	if !r.may(s2, "s3:GetObject", object) {
		t.Error("bob's session may nothing")
	}

	// What the role may is looked up for each request, and ends with it.
	r.ok(r.root, "PutRolePolicy", "RoleName", "reader", "PolicyName", "p", "PolicyDocument", doc(`{"Effect":"Deny","Action":"*","Resource":"*"}`))
	if r.may(s, "s3:GetObject", object) {
		t.Error("a session keeps what its role has lost")
	}
	r.fails("DeleteConflict", r.root, "DeleteRole", "RoleName", "reader")
	r.ok(r.root, "DeleteRolePolicy", "RoleName", "reader", "PolicyName", "p")
	r.ok(r.root, "DeleteRole", "RoleName", "reader")
	r.fails("InvalidClientTokenId", s, "GetCallerIdentity")
	r.ok(r.root, "CreateRole", "RoleName", "reader", "AssumeRolePolicyDocument", trust(`{"AWS":"`+r.account+`"}`, ""))
	r.fails("InvalidClientTokenId", s, "GetCallerIdentity") // of a role that has the name only
}

func TestGetSessionToken(t *testing.T) {
	r := newRig(t, nil)
	alice := r.user("alice", `{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*","Condition":{"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}}`)
	s := session(r.ok(alice, "GetSessionToken", "DurationSeconds", "900"))
	if !r.may(s, "s3:GetObject", object) || r.may(s, "s3:DeleteObject", object) || !r.may(alice, "s3:DeleteObject", object) {
		t.Error("aws:TokenIssueTime does not tell sessions from keys")
	}
	if got := r.ok(s, "GetCallerIdentity"); element(got, "Arn") != identity.UserARN(r.account, "alice") {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		as   signer
		code string
	}{
		"no token":            {signer{s.access, s.secret, ""}, "InvalidClientTokenId"},
		"another key's token": {signer{alice.access, alice.secret, s.token}, "InvalidClientTokenId"},
		"a changed token":     {signer{s.access, s.secret, s.token[:len(s.token)-2] + "AA"}, "InvalidClientTokenId"},
		"another secret":      {signer{s.access, alice.secret, s.token}, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(*testing.T) { r.fails(c.code, c.as, "GetCallerIdentity") })
	}
	at := time.Now()
	r.now = func() time.Time { return at.Add(901 * time.Second) }
	r.fails("ExpiredToken", s, "GetCallerIdentity")
	if _, err := r.dir.Lookup(t.Context(), s.access, s.token); !errors.Is(err, sigv4.ErrExpiredToken) {
		t.Errorf("S3 says %v of an expired token", err)
	}
}

// TestWebIdentity: sessions for tokens of a real OpenID Connect provider, a process of
// its own that signs with RS256 and ES256 and changes its keys.
func TestWebIdentity(t *testing.T) {
	p := startProvider(t)
	r := newRig(t, p.client)
	arn := element(r.ok(r.root, "CreateOpenIDConnectProvider", "Url", p.issuer, "ClientIDList.member.1", "weft"), "OpenIDConnectProviderArn")
	if want := identity.ProviderARN(r.account, p.issuer); arn != want {
		t.Fatalf("%s, want %s", arn, want)
	}
	r.fails("EntityAlreadyExists", r.root, "CreateOpenIDConnectProvider", "Url", p.issuer)
	r.fails("ValidationError", r.root, "CreateOpenIDConnectProvider", "Url", "http://example.org")
	key := identity.ProviderName(p.issuer)
	r.ok(r.root, "CreateRole", "RoleName", "hpc", "AssumeRolePolicyDocument", trust(`{"Federated":"`+arn+`"}`,
		`{"StringEquals":{"`+key+`:aud":"weft"},"StringLike":{"`+key+`:sub":"ali*"},"ForAnyValue:StringEquals":{"`+key+`:realm_access.roles":["hpc-users"]}}`))
	r.ok(r.root, "PutRolePolicy", "RoleName", "hpc", "PolicyName", "p", "PolicyDocument", doc(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))
	member := map[string]any{"realm_access": map[string]any{"roles": []string{"x", "hpc-users"}}}
	with := func(more map[string]any) map[string]any {
		all := map[string]any{"realm_access": member["realm_access"]}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	ask := func(token string) []string {
		return []string{"RoleArn", identity.RoleARN(r.account, "hpc"), "RoleSessionName", "alice", "WebIdentityToken", token}
	}
	for _, alg := range []string{"RS256", "ES256"} {
		got := r.ok(signer{}, "AssumeRoleWithWebIdentity", ask(p.sign(alg, member))...)
		s := session(got)
		if element(got, "SubjectFromWebIdentityToken") != "alice" || element(got, "Audience") != "weft" || element(got, "Provider") != arn ||
			!r.may(s, "s3:GetObject", object) || r.may(s, "s3:PutObject", object) {
			t.Errorf("%s: %s", alg, got)
		}
	}
	now := time.Now().Unix()
	good := p.sign("RS256", member)
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	for name, c := range map[string]struct{ token, code string }{
		"not in the group":         {p.sign("RS256", nil), "AccessDenied"},
		"another subject":          {p.sign("RS256", with(map[string]any{"sub": "bob"})), "AccessDenied"},
		"another audience":         {p.sign("RS256", with(map[string]any{"aud": "elsewhere"})), "InvalidIdentityToken"},
		"another authorized party": {p.sign("RS256", with(map[string]any{"azp": "elsewhere"})), "InvalidIdentityToken"},
		"another issuer":           {p.sign("RS256", with(map[string]any{"iss": "https://localhost/other"})), "InvalidIdentityToken"},
		"expired":                  {p.sign("RS256", with(map[string]any{"exp": now - 120})), "ExpiredTokenException"},
		"not yet":                  {p.sign("RS256", with(map[string]any{"nbf": now + 600})), "InvalidIdentityToken"},
		"from the future":          {p.sign("RS256", with(map[string]any{"iat": now + 600})), "InvalidIdentityToken"},
		"never expires":            {p.sign("RS256", with(map[string]any{"exp": nil})), "InvalidIdentityToken"},
		"no subject":               {p.sign("RS256", with(map[string]any{"sub": nil})), "InvalidIdentityToken"},
		"other claims":             {head + "." + body[:len(body)-4] + "AAAA." + sig, "InvalidIdentityToken"},
		"no signature":             {head + "." + body + ".", "InvalidIdentityToken"},
		"unsigned":                 {"eyJhbGciOiJub25lIn0." + body + ".", "InvalidIdentityToken"},
		"a MAC":                    {"eyJhbGciOiJIUzI1NiJ9." + body + "." + sig, "InvalidIdentityToken"},
		"nonsense":                 {"nonsense", "InvalidIdentityToken"},
		"too long":                 {strings.Repeat("a", 20001), "InvalidIdentityToken"},
	} {
		if w := r.ask(signer{}, "sts", "AssumeRoleWithWebIdentity", ask(c.token)...); element(w.Body.String(), "Code") != c.code || strings.Contains(w.Body.String(), body) {
			t.Errorf("%s: %d %s, want %s", name, w.Code, w.Body, c.code)
		}
	}

	// New keys are asked for when a token names one, and not more than once in a while.
	p.ask("POST", "/rotate", "")
	at := time.Now()
	r.now = func() time.Time { return at.Add(11 * time.Second) }
	r.ok(signer{}, "AssumeRoleWithWebIdentity", ask(p.sign("ES256", member))...)
	r.fails("InvalidIdentityToken", signer{}, "AssumeRoleWithWebIdentity", ask(good)...) // the old key is gone
	fetched := p.ask("GET", "/fetched", "")
	p.ask("POST", "/rotate", "")
	for range 3 {
		r.fails("InvalidIdentityToken", signer{}, "AssumeRoleWithWebIdentity", ask(p.sign("ES256", member))...)
	}
	if again := p.ask("GET", "/fetched", ""); again != fetched {
		t.Errorf("keys were fetched %s times, then %s", fetched, again)
	}

	// A signature of who posts does not stand in for the token's claims, a provider of one
	// account is none of another's, and nothing is left when it is gone.
	r.now = func() time.Time { return at.Add(22 * time.Second) }
	r.ok(signer{}, "AssumeRoleWithWebIdentity", ask(p.sign("RS256", member))...)
	r.fails("AccessDenied", r.root, "AssumeRoleWithWebIdentity", ask(p.sign("RS256", nil))...)
	account, _ := r.tenant("other")
	r.fails("InvalidIdentityToken", signer{}, "AssumeRoleWithWebIdentity", "RoleArn", identity.RoleARN(account, "hpc"), "RoleSessionName", "alice", "WebIdentityToken", p.sign("RS256", member))
	r.ok(r.root, "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	r.fails("InvalidIdentityToken", signer{}, "AssumeRoleWithWebIdentity", ask(p.sign("RS256", member))...)
}

// TestProviderAway: keys that are known are good for a while without their provider.
func TestProviderAway(t *testing.T) {
	p := startProvider(t)
	r := newRig(t, nil)
	away := false
	r.h.cfg.Tokens = oidc.New(&http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if away {
			return nil, io.ErrUnexpectedEOF
		}
		return p.client.Transport.RoundTrip(req)
	})}, func() time.Time { return r.now() })
	at := time.Now()
	arn := element(r.ok(r.root, "CreateOpenIDConnectProvider", "Url", p.issuer, "ClientIDList.member.1", "weft"), "OpenIDConnectProviderArn")
	r.ok(r.root, "CreateRole", "RoleName", "hpc", "AssumeRolePolicyDocument", trust(`{"Federated":"`+arn+`"}`, ""))
	ask := func() []string {
		return []string{"RoleArn", identity.RoleARN(r.account, "hpc"), "RoleSessionName", "alice", "WebIdentityToken", p.sign("RS256", map[string]any{"exp": at.Unix() + 86400})}
	}
	away = true
	r.fails("IDPCommunicationError", signer{}, "AssumeRoleWithWebIdentity", ask()...)
	away = false
	r.fails("IDPCommunicationError", signer{}, "AssumeRoleWithWebIdentity", ask()...) // not asked again so soon
	r.now = func() time.Time { return at.Add(11 * time.Second) }
	r.ok(signer{}, "AssumeRoleWithWebIdentity", ask()...)
	away = true
	r.now = func() time.Time { return at.Add(3 * time.Hour) }
	r.ok(signer{}, "AssumeRoleWithWebIdentity", ask()...)
	r.now = func() time.Time { return at.Add(5 * time.Hour) }
	r.fails("IDPCommunicationError", signer{}, "AssumeRoleWithWebIdentity", ask()...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
