package iamapi

import (
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// rig is a Handler over a registry, with an account.
type rig struct {
	*testing.T
	h       *Handler
	reg     *identity.Registry
	dir     *identity.Directory
	now     func() time.Time
	account string
	root    signer
	seen    []s3api.Access
}

type signer struct{ access, secret, token string }

func newRig(t *testing.T, tokens *http.Client) *rig {
	t.Helper()
	db, err := metadata.New(memkv.New(), metadata.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := identity.ParseKeyring(identity.GenerateKeyring())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, now: time.Now}
	now := func() time.Time { return r.now() }
	r.reg = identity.NewRegistry(db, ring, now)
	r.dir = identity.NewDirectory(r.reg)
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	r.h = New(Config{Registry: r.reg, Lookup: r.dir.Lookup, Tokens: oidc.New(tokens, now), Region: "eu-west-9", Next: next, Now: now,
		IsService: func(r *http.Request) bool { return r.Host != "bucket.localhost" },
		Access:    func(a s3api.Access) { r.seen = append(r.seen, a) }})
	r.account, r.root = r.tenant("tenant")
	return r
}

func (r *rig) tenant(name string) (string, signer) {
	r.Helper()
	a, err := r.reg.CreateAccount(r.Context(), name)
	if err != nil {
		r.Fatal(err)
	}
	k, secret, err := r.reg.CreateKey(r.Context(), a.ID, "", identity.KeyOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return a.ID, signer{k.ID, secret, ""}
}

// user makes one with a key and, if it is not "", an inline policy.
func (r *rig) user(name, statement string) signer {
	r.Helper()
	ctx := r.Context()
	if _, err := r.reg.CreateUser(ctx, r.account, name, nil); err != nil {
		r.Fatal(err)
	}
	if statement != "" {
		if err := r.reg.PutInline(ctx, r.account, identity.Holder{User: name}, "own", doc(statement)); err != nil {
			r.Fatal(err)
		}
	}
	k, secret, err := r.reg.CreateKey(ctx, r.account, name, identity.KeyOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return signer{k.ID, secret, ""}
}

func doc(statement string) string { return `{"Version":"2012-10-17","Statement":[` + statement + `]}` }

// ask sends an action as an SDK does: no x-amz-content-sha256. params are name, value.
func (r *rig) ask(as signer, service, action string, params ...string) *httptest.ResponseRecorder {
	r.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	req := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if as.access != "" {
		if as.token != "" {
			req.Header.Set("X-Amz-Security-Token", as.token)
		}
		s := &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: as.access, SecretKey: as.secret}, Region: "us-east-1", Service: service}
		if err := s.SignForm(req, []byte(form.Encode()), r.now()); err != nil {
			r.Fatal(err)
		}
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	return w
}

// ok asks IAM and demands success.
func (r *rig) ok(as signer, action string, params ...string) string {
	r.Helper()
	service := "iam"
	if actions[action].service == "sts" {
		service = "sts"
	}
	w := r.ask(as, service, action, params...)
	if w.Code != http.StatusOK {
		r.Fatalf("%s %q: %d %s", action, params, w.Code, w.Body)
	}
	return w.Body.String()
}

// fails demands an error code.
func (r *rig) fails(code string, as signer, action string, params ...string) {
	r.Helper()
	service := "iam"
	if actions[action].service == "sts" {
		service = "sts"
	}
	w := r.ask(as, service, action, params...)
	if got := element(w.Body.String(), "Code"); got != code || w.Code < 400 {
		r.Errorf("%s %q: %d %q, want %s\n%s", action, params, w.Code, got, code, w.Body)
	}
}

func element(xml, name string) string {
	_, rest, _ := strings.Cut(xml, "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

func session(xml string) signer {
	return signer{element(xml, "AccessKeyId"), element(xml, "SecretAccessKey"), element(xml, "SessionToken")}
}

// may asks whether credentials allow an action of S3's on an object of their account.
func (r *rig) may(as signer, action, on string) bool {
	r.Helper()
	k, err := r.dir.Lookup(r.Context(), as.access, as.token)
	if err != nil {
		r.Fatal(err)
	}
	p := k.Owner.(*s3api.Principal)
	return policy.Decide(&policy.Request{Principal: &p.Principal, Action: action, Resource: on, Context: &s3api.Globals{Request: httptest.NewRequest("GET", "/", nil), Who: p, Now: r.now}},
		&policy.Policies{Identity: p.Policies, Session: p.Session, Owner: p.Account})
}

func TestUsersKeysGroups(t *testing.T) {
	r := newRig(t, nil)
	got := r.ok(r.root, "CreateUser", "UserName", "alice", "Tags.member.1.Key", "team", "Tags.member.1.Value", "<a&b>")
	if element(got, "Arn") != identity.UserARN(r.account, "alice") || !strings.Contains(got, "&lt;a&amp;b&gt;") || element(got, "RequestId") == "" {
		t.Error(got)
	}
	r.fails("EntityAlreadyExists", r.root, "CreateUser", "UserName", "alice")
	r.fails("ValidationError", r.root, "CreateUser", "UserName", "a/b")
	r.fails("ValidationError", r.root, "CreateUser", "UserName", "bob", "Path", "/staff/")
	r.fails("NoSuchEntity", r.root, "GetUser", "UserName", "bob")
	key := session(r.ok(r.root, "CreateAccessKey", "UserName", "alice"))
	r.fails("AccessDenied", key, "GetUser")
	r.ok(r.root, "PutUserPolicy", "UserName", "alice", "PolicyName", "self", "PolicyDocument", doc(`{"Effect":"Allow","Action":["iam:GetUser","iam:*AccessKey*"],"Resource":"arn:aws:iam::*:user/${aws:username}"}`))
	if got := r.ok(key, "GetUser"); element(got, "UserName") != "alice" || element(got, "Value") == "" {
		t.Error(got)
	}
	r.ok(r.root, "CreateUser", "UserName", "bob")
	r.fails("AccessDenied", key, "CreateAccessKey", "UserName", "bob")
	second := session(r.ok(key, "CreateAccessKey"))
	if got := r.ok(key, "ListAccessKeys"); strings.Count(got, "<member>") != 2 || strings.Contains(got, "Secret") {
		t.Error(got)
	}
	r.ok(key, "UpdateAccessKey", "AccessKeyId", second.access, "Status", "Inactive")
	r.fails("InvalidClientTokenId", second, "GetUser")
	r.fails("NoSuchEntity", r.root, "DeleteAccessKey", "UserName", "bob", "AccessKeyId", second.access)
	r.ok(key, "DeleteAccessKey", "AccessKeyId", second.access)

	r.ok(r.root, "CreateGroup", "GroupName", "staff")
	r.ok(r.root, "AddUserToGroup", "GroupName", "staff", "UserName", "bob")
	if got := r.ok(r.root, "GetGroup", "GroupName", "staff"); element(got, "UserName") != "bob" {
		t.Error(got)
	}
	if got := r.ok(r.root, "ListGroupsForUser", "UserName", "bob"); element(got, "GroupName") != "staff" {
		t.Error(got)
	}
	r.fails("DeleteConflict", r.root, "DeleteUser", "UserName", "bob")
	r.fails("DeleteConflict", r.root, "DeleteUser", "UserName", "alice")
	r.fails("DeleteConflict", r.root, "DeleteGroup", "GroupName", "staff")
	r.ok(r.root, "RemoveUserFromGroup", "GroupName", "staff", "UserName", "bob")
	r.ok(r.root, "DeleteGroup", "GroupName", "staff")
	r.ok(r.root, "DeleteUser", "UserName", "bob")

	for _, n := range []string{"u1", "u2", "u3"} {
		r.ok(r.root, "CreateUser", "UserName", n)
	}
	first := r.ok(r.root, "ListUsers", "MaxItems", "3")
	rest := r.ok(r.root, "ListUsers", "MaxItems", "3", "Marker", element(first, "Marker"))
	if element(first, "IsTruncated") != "true" || element(rest, "IsTruncated") != "false" || element(rest, "UserName") != "u3" {
		t.Error(first, rest)
	}
	r.ok(r.root, "TagUser", "UserName", "u1", "Tags.member.1.Key", "a", "Tags.member.1.Value", "1")
	r.ok(r.root, "UntagUser", "UserName", "u1", "TagKeys.member.1", "b")
	if got := r.ok(r.root, "ListUserTags", "UserName", "u1"); element(got, "Value") != "1" {
		t.Error(got)
	}
	if _, other := r.tenant("other"); true { // nothing of another account is seen
		if got := r.ok(other, "ListUsers"); strings.Contains(got, "UserName") {
			t.Error(got)
		}
		r.fails("NoSuchEntity", other, "UpdateAccessKey", "AccessKeyId", key.access, "Status", "Inactive")
	}
}

func TestPolicies(t *testing.T) {
	r := newRig(t, nil)
	bob := r.user("bob", "")
	text := doc(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`)
	arn := element(r.ok(r.root, "CreatePolicy", "PolicyName", "read", "PolicyDocument", text), "Arn")
	r.fails("EntityAlreadyExists", r.root, "CreatePolicy", "PolicyName", "read", "PolicyDocument", text)
	r.fails("MalformedPolicyDocument", r.root, "CreatePolicy", "PolicyName", "bad", "PolicyDocument", "{}")
	r.ok(r.root, "AttachUserPolicy", "UserName", "bob", "PolicyArn", arn)
	if !r.may(bob, "s3:GetObject", "arn:aws:s3:::b/k") || r.may(bob, "s3:PutObject", "arn:aws:s3:::b/k") {
		t.Error("an attached policy does not decide")
	}
	got := r.ok(r.root, "GetPolicy", "PolicyArn", arn)
	if element(got, "DefaultVersionId") != "v1" || element(got, "AttachmentCount") != "1" {
		t.Error(got)
	}
	if back, err := url.QueryUnescape(element(r.ok(r.root, "GetPolicyVersion", "PolicyArn", arn, "VersionId", "v1"), "Document")); err != nil || back != text {
		t.Error(back, err)
	}
	r.fails("DeleteConflict", r.root, "DeletePolicy", "PolicyArn", arn)
	r.ok(r.root, "CreatePolicyVersion", "PolicyArn", arn, "SetAsDefault", "true", "PolicyDocument", doc(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`))
	if r.may(bob, "s3:GetObject", "arn:aws:s3:::b/k") || element(r.ok(r.root, "ListPolicyVersions", "PolicyArn", arn), "VersionId") != "v2" {
		t.Error("the new version is not the policy")
	}
	if got := r.ok(r.root, "ListAttachedUserPolicies", "UserName", "bob"); element(got, "PolicyArn") != arn {
		t.Error(got)
	}
	if got := r.ok(r.root, "ListEntitiesForPolicy", "PolicyArn", arn); element(got, "UserName") != "bob" {
		t.Error(got)
	}
	r.ok(r.root, "DetachUserPolicy", "UserName", "bob", "PolicyArn", arn)
	r.fails("NoSuchEntity", r.root, "DetachUserPolicy", "UserName", "bob", "PolicyArn", arn)
	r.ok(r.root, "DeletePolicy", "PolicyArn", arn)
	r.ok(r.root, "AttachUserPolicy", "UserName", "bob", "PolicyArn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
	if !r.may(bob, "s3:GetObject", "arn:aws:s3:::b/k") || element(r.ok(r.root, "ListPolicies", "Scope", "AWS"), "PolicyName") != "AdministratorAccess" {
		t.Error("a built-in policy does not count")
	}
	r.fails("NoSuchEntity", r.root, "AttachUserPolicy", "UserName", "bob", "PolicyArn", "arn:aws:iam::999999999999:policy/read")
	for _, h := range []string{"User", "Group", "Role"} {
		name := map[string]string{"User": "bob", "Group": "g", "Role": "r"}[h]
		switch h {
		case "Group":
			r.ok(r.root, "CreateGroup", "GroupName", name)
		case "Role":
			r.ok(r.root, "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust(`{"AWS":"`+r.account+`"}`, ""))
		}
		r.ok(r.root, "Put"+h+"Policy", h+"Name", name, "PolicyName", "in", "PolicyDocument", text)
		if got := r.ok(r.root, "Get"+h+"Policy", h+"Name", name, "PolicyName", "in"); element(got, h+"Name") != name || !strings.HasPrefix(element(got, "PolicyDocument"), "%7B") {
			t.Error(got)
		}
		if got := r.ok(r.root, "List"+h+"Policies", h+"Name", name); element(got, "member") != "in" {
			t.Error(got)
		}
		r.fails("MalformedPolicyDocument", r.root, "Put"+h+"Policy", h+"Name", name, "PolicyName", "in", "PolicyDocument", "nonsense")
		r.ok(r.root, "Delete"+h+"Policy", h+"Name", name, "PolicyName", "in")
		r.fails("NoSuchEntity", r.root, "Get"+h+"Policy", h+"Name", name, "PolicyName", "in")
	}
}

func trust(principal, condition string) string {
	action := "sts:AssumeRole"
	if strings.Contains(principal, "Federated") {
		action += "WithWebIdentity"
	}
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return doc(`{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `"` + condition + `}`)
}

// TestAuthorization: every action against somebody without a policy, with all but its
// own, with just its own, and nobody.
func TestAuthorization(t *testing.T) {
	r := newRig(t, nil)
	nobody, none := signer{}, r.user("none", "")
	for _, name := range Operations() {
		a := actions[name]
		if a.open {
			continue
		}
		params := []string{"UserName", "none", "GroupName", "g", "RoleName", "r", "PolicyName", "p", "PolicyArn", policyARN(r.account, "p"), "AccessKeyId", "AKIA", "Url", "https://localhost", "OpenIDConnectProviderArn", identity.ProviderARN(r.account, "https://localhost")}
		r.fails("MissingAuthenticationToken", nobody, name, params...)
		r.fails("AccessDenied", none, name, params...)
		all := r.user("but-"+strings.ToLower(name), `{"Effect":"Allow","NotAction":"iam:`+name+`","Resource":"*"}`)
		r.fails("AccessDenied", all, name, params...)
		one := r.user("own-"+strings.ToLower(name), `{"Effect":"Allow","Action":"iam:`+name+`","Resource":"*"}`)
		if w := r.ask(one, "iam", name, params...); element(w.Body.String(), "Code") == "AccessDenied" || w.Code >= 500 {
			t.Errorf("%s with just that allowed: %d %s", name, w.Code, w.Body)
		}
	}
	if !slices.Contains(Operations(), "AttachRolePolicy") {
		t.Error("the generated actions are missing")
	}
}

// TestResource: what a policy decides about is what the action does it to, whatever other
// parameters there are.
func TestResource(t *testing.T) {
	r := newRig(t, nil)
	text := doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	dev := r.user("dev", `{"Effect":"Allow","Action":"iam:*","Resource":"`+policyARN(r.account, "dev-*")+`"}`)
	r.ok(dev, "CreatePolicy", "PolicyName", "dev-1", "PolicyDocument", text)
	r.fails("AccessDenied", dev, "CreatePolicy", "PolicyName", "other", "PolicyArn", policyARN(r.account, "dev-2"), "PolicyDocument", text)

	mine, theirs := identity.ProviderARN(r.account, "https://mine.example"), identity.ProviderARN(r.account, "https://theirs.example/realm")
	r.ok(r.root, "CreateOpenIDConnectProvider", "Url", "https://theirs.example/realm", "ClientIDList.member.1", "c")
	sso := r.user("sso", `{"Effect":"Allow","Action":"iam:*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"`+theirs+`"}`)
	r.fails("AccessDenied", sso, "CreateOpenIDConnectProvider", "Url", "https://theirs.example/realm", "OpenIDConnectProviderArn", mine)
	r.fails("AccessDenied", sso, "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", theirs)
	for _, arn := range []string{theirs + "/", strings.Replace(theirs, "/theirs", "/https://theirs", 1)} {
		for _, action := range []string{"GetOpenIDConnectProvider", "AddClientIDToOpenIDConnectProvider", "DeleteOpenIDConnectProvider"} {
			r.fails("NoSuchEntity", sso, action, "OpenIDConnectProviderArn", arn, "ClientID", "x")
		}
	}
}

// TestPolicyARN: somebody may attach some policies and not others.
func TestPolicyARN(t *testing.T) {
	r := newRig(t, nil)
	const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
	but := r.user("but", `{"Effect":"Allow","Action":"iam:*UserPolicy","Resource":"*","Condition":{"ArnNotEquals":{"iam:PolicyARN":"`+admin+`"}}}`)
	one := r.user("one", `{"Effect":"Allow","Action":"iam:AttachUserPolicy","Resource":"*","Condition":{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::aws:policy/AmazonS3*"}}}`)
	for _, as := range []signer{but, one} {
		for _, arn := range []string{admin, policyARN(r.account, "x") + "/../AdministratorAccess", "arn:aws:iam::" + r.account + ":policy/AdministratorAccess"} {
			if w := r.ask(as, "iam", "AttachUserPolicy", "UserName", "one", "PolicyArn", arn); w.Code < 400 {
				t.Errorf("%s: %d %s", arn, w.Code, w.Body)
			}
		}
		r.ok(as, "AttachUserPolicy", "UserName", "one", "PolicyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess")
	}
}

// TestTagConditions: somebody may put some tags and not others, which other policies go by.
func TestTagConditions(t *testing.T) {
	r := newRig(t, nil)
	but := r.user("but", `{"Effect":"Allow","Action":"iam:*","Resource":"*"},{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":["clearance"]}}}`)
	one := r.user("one", `{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"x"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}`)
	trusted := trust(`{"AWS":"`+r.account+`"}`, "")
	text := doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	team, clearance := []string{"Tags.member.1.Key", "team", "Tags.member.1.Value", "x"}, []string{"Tags.member.2.Key", "clearance", "Tags.member.2.Value", "top"}
	for _, row := range [][]string{
		{"TagUser", "UserName", "but"}, {"CreateUser", "UserName", "new"}, {"CreateRole", "RoleName", "new", "AssumeRolePolicyDocument", trusted},
		{"CreatePolicy", "PolicyName", "new", "PolicyDocument", text}, {"CreateOpenIDConnectProvider", "Url", "https://localhost", "ClientIDList.member.1", "c"},
	} {
		for _, as := range []signer{but, one} {
			r.fails("AccessDenied", as, row[0], slices.Concat(row[1:], team, clearance)...)
		}
		r.ok(one, row[0], slices.Concat(row[1:], team)...)
	}
	r.ok(but, "TagUser", slices.Concat([]string{"UserName", "but"}, team)...)
	r.fails("AccessDenied", but, "UntagUser", "UserName", "but", "TagKeys.member.1", "team", "TagKeys.member.2", "clearance")
	r.ok(but, "UntagUser", "UserName", "but", "TagKeys.member.1", "team")
	r.fails("AccessDenied", one, "CreateGroup", slices.Concat([]string{"GroupName", "g"}, team)...) // which has no tags
}

// TestResourceTags: policies go by the tags of what an action is about.
func TestResourceTags(t *testing.T) {
	r := newRig(t, nil)
	team := func(value string) []string {
		return []string{"Tags.member.1.Key", "Team", "Tags.member.1.Value", value}
	}
	deny := r.user("deny", `{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"core"}}}`)
	allow := r.user("allow", `{"Effect":"Allow","Action":["iam:*","sts:*"],"Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/Team":"lab"}}}`)
	text, trusted := doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`), trust(`{"AWS":"`+r.account+`"}`, "")
	for _, name := range []string{"core", "lab"} {
		r.ok(r.root, "CreateUser", append([]string{"UserName", name}, team(name)...)...)
		r.ok(r.root, "CreateRole", append([]string{"RoleName", name, "AssumeRolePolicyDocument", trusted}, team(name)...)...)
		r.ok(r.root, "CreatePolicy", append([]string{"PolicyName", name, "PolicyDocument", text}, team(name)...)...)
		r.ok(r.root, "CreateOpenIDConnectProvider", append([]string{"Url", "https://" + name, "ClientIDList.member.1", "c"}, team(name)...)...)
		for _, row := range [][]string{
			{"CreateAccessKey", "UserName", name},
			{"AttachUserPolicy", "UserName", name, "PolicyArn", policyARN(r.account, name)},
			{"UpdateRoleDescription", "RoleName", name, "Description", "x"},
			{"AssumeRole", "RoleArn", identity.RoleARN(r.account, name), "RoleSessionName", "s1"},
			{"GetPolicy", "PolicyArn", policyARN(r.account, name)},
			{"GetOpenIDConnectProvider", "OpenIDConnectProviderArn", identity.ProviderARN(r.account, "https://"+name)},
		} {
			for _, as := range []signer{deny, allow} {
				if name == "core" {
					r.fails("AccessDenied", as, row[0], row[1:]...)
				} else {
					r.ok(as, row[0], row[1:]...)
				}
			}
		}
	}
	r.ok(deny, "CreateUser", "UserName", "new")
	r.fails("NoSuchEntity", deny, "DeleteUser", "UserName", "absent")
}

// TestSignature: what is signed is the body, for the service, at the time.
func TestSignature(t *testing.T) {
	r := newRig(t, nil)
	send := func(edit func(*http.Request)) string {
		body := "Action=ListUsers&Version=2010-05-08"
		req := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		s := &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: r.root.access, SecretKey: r.root.secret}, Region: "us-east-1", Service: "iam"}
		if err := s.SignForm(req, []byte(body), time.Now()); err != nil {
			t.Fatal(err)
		}
		edit(req)
		w := httptest.NewRecorder()
		r.h.ServeHTTP(w, req)
		if w.Code == http.StatusOK {
			return "ok"
		}
		return element(w.Body.String(), "Code")
	}
	other := func(body string) func(*http.Request) {
		return func(req *http.Request) { req.Body = io.NopCloser(strings.NewReader(body)) }
	}
	for what, c := range map[string]struct {
		edit func(*http.Request)
		want string
	}{
		"as signed":       {func(*http.Request) {}, "ok"},
		"another body":    {other("Action=ListGroups&Version=2010-05-08"), "SignatureDoesNotMatch"},
		"in the query":    {func(req *http.Request) { req.URL.RawQuery = "Action=ListGroups" }, "MalformedQueryString"},
		"more parameters": {func(req *http.Request) { req.URL.RawQuery = "MaxItems=1&xAction=" }, "SignatureDoesNotMatch"},
		"another host":    {func(req *http.Request) { req.Host = "elsewhere" }, "SignatureDoesNotMatch"},
		"a hash that is not the body's": {func(req *http.Request) {
			req.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64))
		}, "SignatureDoesNotMatch"},
		"a header more": {func(req *http.Request) { req.Header.Set("X-Amz-Security-Token", "x") }, "InvalidClientTokenId"},
	} {
		if got := send(c.edit); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	// Neither a signature for S3 nor a presigned URL speaks IAM.
	if w := r.ask(r.root, "s3", "ListUsers"); element(w.Body.String(), "Code") != "IncompleteSignature" {
		t.Errorf("signed for s3: %d %s", w.Code, w.Body)
	}
	req := httptest.NewRequest("POST", "http://localhost/?Action=ListUsers", nil)
	s := &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: r.root.access, SecretKey: r.root.secret}, Region: "us-east-1", Service: "iam"}
	if err := s.Presign(req, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if r.h.ServeHTTP(w, req); w.Code != http.StatusBadRequest {
		t.Errorf("presigned: %d %s", w.Code, w.Body)
	}
	for _, a := range r.seen {
		if a.Account != "" && a.Account != r.account || a.Status == 0 {
			t.Errorf("%+v", a)
		}
	}
}

// TestNext: what is not IAM's goes on.
func TestNext(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		method, target, kind, host string
		ours                       bool
	}{
		{"POST", "/", "application/x-www-form-urlencoded", "localhost", true},
		{"POST", "/?Action=GetCallerIdentity", "", "localhost", true},
		{"POST", "/", "application/x-www-form-urlencoded", "bucket.localhost", false},
		{"POST", "/?delete", "application/x-www-form-urlencoded", "localhost", false},
		{"POST", "/", "multipart/form-data; boundary=x", "localhost", false},
		{"POST", "/bucket", "application/x-www-form-urlencoded", "localhost", false},
		{"GET", "/?Action=ListUsers", "", "localhost", false},
		{"PUT", "/", "application/x-www-form-urlencoded", "localhost", false},
	} {
		req := httptest.NewRequest(c.method, "http://localhost"+c.target, nil)
		req.Host = c.host
		req.Header.Set("Content-Type", c.kind)
		w := httptest.NewRecorder()
		if r.h.ServeHTTP(w, req); c.ours != (w.Code != http.StatusTeapot) {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
	big := httptest.NewRequest("POST", "http://localhost/", strings.NewReader("Action="+strings.Repeat("x", MaxBody)))
	big.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if r.h.ServeHTTP(w, big); w.Code != http.StatusBadRequest {
		t.Errorf("a body that is too long: %d", w.Code)
	}
}

// FuzzForm: whatever is posted is answered with XML and a status, and nothing unsigned does anything.
func FuzzForm(f *testing.F) {
	f.Add("Action=ListUsers&Version=2010-05-08")
	f.Add("Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=ab&WebIdentityToken=x.y.z")
	f.Add("Action=AssumeRole&PolicyArns.member.1.arn=x")
	f.Add("Action=%00&Action")
	ring, err := identity.ParseKeyring(identity.GenerateKeyring())
	if err != nil {
		f.Fatal(err)
	}
	db, err := metadata.New(memkv.New(), metadata.Options{})
	if err != nil {
		f.Fatal(err)
	}
	reg := identity.NewRegistry(db, ring, nil)
	h := New(Config{Registry: reg, Lookup: identity.NewDirectory(reg).Lookup, Tokens: oidc.New(nil, nil), IsService: func(*http.Request) bool { return true }})
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code < 400 || w.Code >= 500 || !strings.HasPrefix(w.Body.String(), "<?xml") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestTooMany: who is told to come back later cannot keep the connection by a body that never comes.
func TestTooMany(t *testing.T) {
	h := New(Config{Requests: 1, IsService: func(*http.Request) bool { return true }})
	h.large <- struct{}{}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, formRequest(strings.NewReader("Action=GetUser&UserName="+strings.Repeat("u", smallBody))))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Connection") != "close" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
}

func formRequest(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// TestSlowBodies: clients whose bodies do not come keep nobody out.
func TestSlowBodies(t *testing.T) {
	r := newRig(t, nil)
	r.h.slots = make(chan struct{}, 1)
	body, slow := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.h.ServeHTTP(httptest.NewRecorder(), formRequest(body))
	}()
	if _, err := slow.Write([]byte("Action=")); err != nil {
		t.Fatal(err)
	}
	r.ok(r.root, "GetCallerIdentity")
	slow.Close()
	<-done
}

type hanging struct{ asked, end chan struct{} }

func (h *hanging) RoundTrip(*http.Request) (*http.Response, error) {
	h.asked <- struct{}{}
	<-h.end
	return nil, io.ErrUnexpectedEOF
}

// TestHangingProvider: an account whose identity provider hangs has its share of the places, and others work.
func TestHangingProvider(t *testing.T) {
	hang := &hanging{make(chan struct{}), make(chan struct{})}
	r := newRig(t, &http.Client{Transport: hang})
	r.h.slots = make(chan struct{}, 4)
	const issuer = "https://sso.example.org"
	r.ok(r.root, "CreateOpenIDConnectProvider", "Url", issuer, "ClientIDList.member.1", "weft")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: ed25519.NewKeyFromSeed(make([]byte, 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: issuer}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "RoleArn": {identity.RoleARN(r.account, "r")}, "RoleSessionName": {"s1"}, "WebIdentityToken": {token}}.Encode()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.h.ServeHTTP(httptest.NewRecorder(), formRequest(strings.NewReader(form)))
	}()
	<-hang.asked
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, formRequest(strings.NewReader(form)))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "<Code>Throttling</Code>") {
		t.Errorf("a second request of the account: %d %s", w.Code, w.Body)
	}
	_, other := r.tenant("other")
	r.ok(other, "GetCallerIdentity")
	close(hang.end)
	<-done
}
