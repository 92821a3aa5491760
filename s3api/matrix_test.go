package s3api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// matrixRow is an operation's request and what a policy must allow for it. {upload} and
// {version} in the target are filled in.
type matrixRow struct {
	target, body string
	header       []string // name, value
	actions      []string // all that are needed
	on           []string // their resources; nil: the request's own
	public       bool     // everybody may, whatever policies say
}

const (
	versionedObject = "/bucket/k?versionId={version}"
	tagDoc          = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	blockDoc        = "<PublicAccessBlockConfiguration></PublicAccessBlockConfiguration>"
	encryptionDoc   = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
	partDoc         = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
	deleteDoc       = "<Delete><Object><Key>k</Key></Object></Delete>"
	ownershipDoc    = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"
	corsDoc         = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://x</AllowedOrigin></CORSRule></CORSConfiguration>"
	lifecycleDoc    = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
	lockDoc         = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
	retentionDoc    = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2100-01-01T00:00:00Z</RetainUntilDate></Retention>"
	policyDoc       = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutAnalyticsConfiguration","Resource":"arn:aws:s3:::bucket"}]}`
)

var preflightHeader = []string{"Origin", "https://x", "Access-Control-Request-Method", "GET"}

// matrix has rows for every operation of the route table that exists here.
var matrix = map[string][]matrixRow{
	"ListBuckets":  {{target: "/", actions: []string{"s3:ListAllMyBuckets"}}},
	"CreateBucket": {{target: "/another", actions: []string{"s3:CreateBucket"}}, {target: "/another", header: []string{"X-Amz-Acl", "private"}, actions: []string{"s3:CreateBucket", "s3:PutBucketAcl"}}},
	"DeleteBucket": {{target: "/bucket", actions: []string{"s3:DeleteBucket"}}},
	"HeadBucket":   {{target: "/bucket", actions: []string{"s3:ListBucket"}}},

	"ListObjects":          {{target: "/bucket", actions: []string{"s3:ListBucket"}}},
	"ListObjectsV2":        {{target: "/bucket?list-type=2", actions: []string{"s3:ListBucket"}}},
	"ListObjectVersions":   {{target: "/bucket?versions", actions: []string{"s3:ListBucketVersions"}}},
	"ListMultipartUploads": {{target: "/bucket?uploads", actions: []string{"s3:ListBucketMultipartUploads"}}},
	"GetBucketLocation":    {{target: "/bucket?location", actions: []string{"s3:GetBucketLocation"}}},
	"GetBucketVersioning":  {{target: "/bucket?versioning", actions: []string{"s3:GetBucketVersioning"}}},
	"PutBucketVersioning":  {{target: "/bucket?versioning", body: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", actions: []string{"s3:PutBucketVersioning"}}},
	"GetBucketTagging":     {{target: "/bucket?tagging", actions: []string{"s3:GetBucketTagging"}}},
	"PutBucketTagging":     {{target: "/bucket?tagging", body: tagDoc, actions: []string{"s3:PutBucketTagging"}}},
	"DeleteBucketTagging":  {{target: "/bucket?tagging", actions: []string{"s3:PutBucketTagging"}}},

	"GetBucketAcl":                     {{target: "/bucket?acl", actions: []string{"s3:GetBucketAcl"}}},
	"PutBucketAcl":                     {{target: "/bucket?acl", header: []string{"X-Amz-Acl", "private"}, actions: []string{"s3:PutBucketAcl"}}},
	"GetBucketOwnershipControls":       {{target: "/bucket?ownershipControls", actions: []string{"s3:GetBucketOwnershipControls"}}},
	"PutBucketOwnershipControls":       {{target: "/bucket?ownershipControls", body: ownershipDoc, actions: []string{"s3:PutBucketOwnershipControls"}}},
	"DeleteBucketOwnershipControls":    {{target: "/bucket?ownershipControls", actions: []string{"s3:PutBucketOwnershipControls"}}},
	"GetBucketPolicy":                  {{target: "/bucket?policy", actions: []string{"s3:GetBucketPolicy"}}},
	"PutBucketPolicy":                  {{target: "/bucket?policy", body: policyDoc, actions: []string{"s3:PutBucketPolicy"}}},
	"DeleteBucketPolicy":               {{target: "/bucket?policy", actions: []string{"s3:DeleteBucketPolicy"}}},
	"GetBucketPolicyStatus":            {{target: "/bucket?policyStatus", actions: []string{"s3:GetBucketPolicyStatus"}}},
	"GetBucketLifecycleConfiguration":  {{target: "/bucket?lifecycle", actions: []string{"s3:GetLifecycleConfiguration"}}},
	"PutBucketLifecycleConfiguration":  {{target: "/bucket?lifecycle", body: lifecycleDoc, actions: []string{"s3:PutLifecycleConfiguration"}}},
	"DeleteBucketLifecycle":            {{target: "/bucket?lifecycle", actions: []string{"s3:PutLifecycleConfiguration"}}},
	"GetBucketCors":                    {{target: "/bucket?cors", actions: []string{"s3:GetBucketCORS"}}},
	"PutBucketCors":                    {{target: "/bucket?cors", body: corsDoc, actions: []string{"s3:PutBucketCORS"}}},
	"DeleteBucketCors":                 {{target: "/bucket?cors", actions: []string{"s3:PutBucketCORS"}}},
	"OptionsBucket":                    {{target: "/bucket", header: preflightHeader, public: true}},
	"OptionsObject":                    {{target: "/bucket/k", header: preflightHeader, public: true}},
	"GetBucketRequestPayment":          {{target: "/bucket?requestPayment", actions: []string{"s3:GetBucketRequestPayment"}}},
	"PutBucketRequestPayment":          {{target: "/bucket?requestPayment", body: "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>", actions: []string{"s3:PutBucketRequestPayment"}}},
	"GetBucketAccelerateConfiguration": {{target: "/bucket?accelerate", actions: []string{"s3:GetAccelerateConfiguration"}}},
	"PutBucketAccelerateConfiguration": {{target: "/bucket?accelerate", body: "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>", actions: []string{"s3:PutAccelerateConfiguration"}}},
	"GetBucketWebsite":                 {{target: "/bucket?website", actions: []string{"s3:GetBucketWebsite"}}},
	"DeleteBucketWebsite":              {{target: "/bucket?website", actions: []string{"s3:DeleteBucketWebsite"}}},
	"GetBucketReplication":             {{target: "/bucket?replication", actions: []string{"s3:GetReplicationConfiguration"}}},
	"DeleteBucketReplication":          {{target: "/bucket?replication", actions: []string{"s3:PutReplicationConfiguration"}}},

	"GetObjectLockConfiguration": {{target: "/bucket?object-lock", actions: []string{"s3:GetBucketObjectLockConfiguration"}}},
	"PutObjectLockConfiguration": {{target: "/bucket?object-lock", body: lockDoc, actions: []string{"s3:PutBucketObjectLockConfiguration"}}},
	"GetPublicAccessBlock":       {{target: "/bucket?publicAccessBlock", actions: []string{"s3:GetBucketPublicAccessBlock"}}},
	"PutPublicAccessBlock":       {{target: "/bucket?publicAccessBlock", body: blockDoc, actions: []string{"s3:PutBucketPublicAccessBlock"}}},
	"DeletePublicAccessBlock":    {{target: "/bucket?publicAccessBlock", actions: []string{"s3:PutBucketPublicAccessBlock"}}},

	"GetBucketLogging": {{target: "/bucket?logging", actions: []string{"s3:GetBucketLogging"}}},
	"PutBucketLogging": {{target: "/bucket?logging", body: "<BucketLoggingStatus></BucketLoggingStatus>", actions: []string{"s3:PutBucketLogging"}}},

	"GetBucketNotificationConfiguration": {{target: "/bucket?notification", actions: []string{"s3:GetBucketNotification"}}},
	"PutBucketNotificationConfiguration": {{target: "/bucket?notification", body: "<NotificationConfiguration></NotificationConfiguration>", actions: []string{"s3:PutBucketNotification"}}},

	"GetBucketEncryption":    {{target: "/bucket?encryption", actions: []string{"s3:GetEncryptionConfiguration"}}},
	"PutBucketEncryption":    {{target: "/bucket?encryption", body: encryptionDoc, actions: []string{"s3:PutEncryptionConfiguration"}}},
	"DeleteBucketEncryption": {{target: "/bucket?encryption", actions: []string{"s3:PutEncryptionConfiguration"}}},

	"GetObject":           {{target: "/bucket/k", actions: []string{"s3:GetObject"}}, {target: versionedObject, actions: []string{"s3:GetObjectVersion"}}},
	"HeadObject":          {{target: "/bucket/k", actions: []string{"s3:GetObject"}}, {target: versionedObject, actions: []string{"s3:GetObjectVersion"}}},
	"GetObjectAttributes": {{target: "/bucket/k?attributes", header: []string{"X-Amz-Object-Attributes", "ETag"}, actions: []string{"s3:GetObject", "s3:GetObjectAttributes"}}, {target: versionedObject + "&attributes", header: []string{"X-Amz-Object-Attributes", "ETag"}, actions: []string{"s3:GetObjectVersion", "s3:GetObjectVersionAttributes"}}},
	"PutObject": {{target: "/bucket/new", body: "x", actions: []string{"s3:PutObject"}}, {target: "/bucket/new", body: "x", header: []string{writeOffsetHeader, "0"}, actions: []string{"s3:PutObject"}}, {target: "/bucket/new", body: "x", header: []string{lockModeHeader, "GOVERNANCE", lockUntilHeader, "2100-01-01T00:00:00Z", lockHoldHeader, "ON"}, actions: []string{"s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"}},
		{target: "/bucket/new", body: "x", header: []string{"X-Amz-Tagging", "a=b", "X-Amz-Acl", "private"}, actions: []string{"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"}}},
	"CopyObject": {{target: "/bucket/new", header: []string{copySourceHeader, "/source/k"}, actions: []string{"s3:PutObject", "s3:GetObject"}, on: []string{"arn:aws:s3:::bucket/new", "arn:aws:s3:::source/k"}},
		{target: "/bucket/new", header: []string{copySourceHeader, "/source/k?versionId=null"}, actions: []string{"s3:PutObject", "s3:GetObjectVersion"}, on: []string{"arn:aws:s3:::bucket/new", "arn:aws:s3:::source/k"}}},
	"RenameObject": {{target: "/bucket/new?renameObject", header: []string{renameSourceHeader, "bucket/k"}, actions: []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"},
		on: []string{"arn:aws:s3:::bucket/new", "arn:aws:s3:::bucket/k", "arn:aws:s3:::bucket/k"}}},
	"DeleteObject":        {{target: "/bucket/k", actions: []string{"s3:DeleteObject"}}, {target: versionedObject, actions: []string{"s3:DeleteObjectVersion"}}, {target: versionedObject, header: []string{"X-Amz-Bypass-Governance-Retention", "true"}, actions: []string{"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}}},
	"DeleteObjects":       {{target: "/bucket?delete", body: deleteDoc, header: []string{"Content-Md5", "5DKh5iefM5MSKvRILIuFwQ=="}, actions: []string{"s3:DeleteObject"}, on: []string{"arn:aws:s3:::bucket/k"}}},
	"GetObjectAcl":        {{target: "/bucket/k?acl", actions: []string{"s3:GetObjectAcl"}}, {target: versionedObject + "&acl", actions: []string{"s3:GetObjectVersionAcl"}}},
	"PutObjectAcl":        {{target: "/bucket/k?acl", header: []string{"X-Amz-Acl", "private"}, actions: []string{"s3:PutObjectAcl"}}},
	"GetObjectTagging":    {{target: "/bucket/k?tagging", actions: []string{"s3:GetObjectTagging"}}, {target: versionedObject + "&tagging", actions: []string{"s3:GetObjectVersionTagging"}}},
	"PutObjectTagging":    {{target: "/bucket/k?tagging", body: tagDoc, actions: []string{"s3:PutObjectTagging"}}, {target: versionedObject + "&tagging", body: tagDoc, actions: []string{"s3:PutObjectVersionTagging"}}},
	"DeleteObjectTagging": {{target: "/bucket/k?tagging", actions: []string{"s3:DeleteObjectTagging"}}, {target: versionedObject + "&tagging", actions: []string{"s3:DeleteObjectVersionTagging"}}},

	"PostObject": {{target: "/bucket", body: postForm("key", "new"), header: postHeader, actions: []string{"s3:PutObject"}, on: []string{"arn:aws:s3:::bucket/new"}},
		{target: "/bucket", body: postForm("key", "new", "tagging", tagDoc, "acl", "private"), header: postHeader, actions: []string{"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"}, on: []string{"arn:aws:s3:::bucket/new", "arn:aws:s3:::bucket/new", "arn:aws:s3:::bucket/new"}}},
	"GetObjectRetention": {{target: versionedObject + "&retention", actions: []string{"s3:GetObjectRetention"}}},
	"PutObjectRetention": {{target: versionedObject + "&retention", body: retentionDoc, actions: []string{"s3:PutObjectRetention"}}, {target: versionedObject + "&retention", body: retentionDoc, header: []string{"X-Amz-Bypass-Governance-Retention", "true"}, actions: []string{"s3:PutObjectRetention", "s3:BypassGovernanceRetention"}}},
	"GetObjectLegalHold": {{target: versionedObject + "&legal-hold", actions: []string{"s3:GetObjectLegalHold"}}},
	"PutObjectLegalHold": {{target: versionedObject + "&legal-hold", body: "<LegalHold><Status>OFF</Status></LegalHold>", actions: []string{"s3:PutObjectLegalHold"}}},

	"CreateMultipartUpload":   {{target: "/bucket/new?uploads", actions: []string{"s3:PutObject"}}, {target: "/bucket/new?uploads", header: []string{"X-Amz-Tagging", "a=b"}, actions: []string{"s3:PutObject", "s3:PutObjectTagging"}}},
	"UploadPart":              {{target: "/bucket/u?partNumber=1&uploadId={upload}", body: "x", actions: []string{"s3:PutObject"}}},
	"UploadPartCopy":          {{target: "/bucket/u?partNumber=1&uploadId={upload}", header: []string{copySourceHeader, "source/k"}, actions: []string{"s3:PutObject", "s3:GetObject"}, on: []string{"arn:aws:s3:::bucket/u", "arn:aws:s3:::source/k"}}},
	"CompleteMultipartUpload": {{target: "/bucket/u?uploadId={upload}", body: partDoc, actions: []string{"s3:PutObject"}}},
	"AbortMultipartUpload":    {{target: "/bucket/u?uploadId={upload}", actions: []string{"s3:AbortMultipartUpload"}}},
	"ListParts":               {{target: "/bucket/u?uploadId={upload}", actions: []string{"s3:ListMultipartUploadParts"}}},
}

// Accounts of the matrix: A owns the bucket and the source, B is another.
const accountA, accountB = "111111111111", "222222222222"

func rootOf(account string) *Principal {
	return &Principal{ID: account, Principal: policy.Principal{Account: account, ARNs: []string{"arn:aws:iam::" + account + ":root"}, Root: true}}
}

func userOf(account string, policies ...*policy.Document) *Principal {
	return &Principal{Name: "user", ID: "AIDA", Policies: policies,
		Principal: policy.Principal{Account: account, ARNs: []string{"arn:aws:iam::" + account + ":user/user"}}}
}

// cell is an env with one key, whose owner is who.
type cell struct {
	*env
	t               *testing.T
	signer          *sigv4.Signer
	upload, version string
}

func newCell(t *testing.T, who *Principal, bucketPolicy string) *cell {
	t.Helper()
	cred := sigv4.Credentials{AccessKey: "AKIA", SecretKey: "secret"}
	lookup := func(_ context.Context, _, token string) (sigv4.Key, error) {
		if token == "expired" {
			return sigv4.Key{}, sigv4.ErrExpiredToken
		}
		return sigv4.Key{Secret: cred.SecretKey, Owner: who}, nil
	}
	c := &cell{t: t, signer: &sigv4.Signer{Credentials: cred, Region: "us-east-1"},
		env: newEnv(t, func(c *Config) {
			c.Auth = &sigv4.Verifier{Region: "us-east-1", Lookup: lookup}
			c.ObjectKeys = &kms.Local{Ring: plainRing{}, Names: []string{""}}
		})}
	ctx := t.Context()
	for _, name := range []string{"bucket", "source"} {
		b := metadata.Bucket{Name: name, Owner: accountA}
		if name == "bucket" {
			b.Configs = map[string]string{configLock: metadata.LockEnabled, configCORS: corsDoc}
			if bucketPolicy != "" {
				b.Configs[configPolicy] = bucketPolicy
			}
		}
		if _, err := c.db.MakeBucket(ctx, b); err != nil {
			t.Fatal(err)
		}
		if name == "bucket" {
			if err := c.db.SetVersioning(ctx, name, metadata.VersioningEnabled); err != nil {
				t.Fatal(err)
			}
		}
		v := &metadata.Version{Key: "k", ID: c.db.NewVersionID(), Null: name == "source", Modified: testTime}
		if _, err := c.db.Put(ctx, name, v, metadata.Condition{}); err != nil {
			t.Fatal(err)
		}
		if name == "bucket" {
			c.version = v.ID.String()
		}
	}
	u := &metadata.Upload{Key: "u"}
	if err := c.db.CreateUpload(ctx, "bucket", u); err != nil {
		t.Fatal(err)
	}
	c.upload = u.ID.String()
	return c
}

// request makes the row's, not signed yet.
func (c *cell) request(method string, row *matrixRow) *http.Request {
	target := strings.NewReplacer("{upload}", c.upload, "{version}", c.version).Replace(row.target)
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(row.body))
	if row.body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for i := 0; i < len(row.header); i += 2 {
		r.Header.Set(row.header[i], row.header[i+1])
	}
	return r
}

// answer sends it and says "allowed" or the code of the error that authentication or
// authorization gave. What the operation itself has to say does not count.
func (c *cell) answer(r *http.Request) string {
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	body := w.Body.String()
	code := errorCode(w)
	if code == "InvalidRequest" || code == "InvalidArgument" || code == "NotImplemented" || code == "InternalError" || w.Code == 501 {
		c.t.Errorf("%s %s: %d %s", r.Method, r.URL, w.Code, body)
	}
	switch {
	case strings.Contains(body, "<Code>AccessDenied</Code>"):
		return "AccessDenied"
	case w.Code == 403 || code == "AuthorizationHeaderMalformed" || code == "ExpiredToken":
		if code == "" {
			return "AccessDenied" // HEAD
		}
		return code
	case w.Code == 400 && r.Method == "HEAD":
		return "bad request"
	}
	return "allowed"
}

// send signs and sends.
func (c *cell) send(method string, row *matrixRow, edit ...func(*http.Request, *sigv4.Signer)) string {
	c.t.Helper()
	r := c.request(method, row)
	signer := &sigv4.Signer{Credentials: c.signer.Credentials, Region: c.signer.Region}
	for _, f := range edit {
		f(r, signer)
	}
	if err := signer.SignHeader(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		c.t.Fatal(err)
	}
	return c.answer(r)
}

// statement allows or denies the row's actions.
func (row *matrixRow) statement(effect string, principal bool) string {
	var s []string
	path, _, _ := strings.Cut(row.target, "?")
	for i, a := range row.actions {
		on := "arn:aws:s3:::" + strings.TrimPrefix(path, "/")
		if row.on != nil {
			on = row.on[i]
		} else if path == "/" {
			on = "*"
		}
		who := ""
		if principal {
			if strings.HasPrefix(on, "arn:aws:s3:::source") {
				continue
			}
			who = `"Principal":"*",`
		}
		s = append(s, `{"Effect":"`+effect+`",`+who+`"Action":"`+a+`","Resource":"`+on+`"}`)
	}
	return strings.Join(s, ",")
}

func document(t *testing.T, statements ...string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`), policy.Identity, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// TestMatrix: every operation of the route table against everybody who might ask. An
// operation without a row fails.
func TestMatrix(t *testing.T) {
	for _, route := range Routes() {
		if _, ok := rules[route.Operation]; !ok {
			t.Errorf("%s has no rule in actions.go", route.Operation)
		}
		if !route.Implemented() {
			continue
		}
		rows := matrix[route.Operation]
		if len(rows) == 0 {
			t.Errorf("%s has no row in the authorization matrix", route.Operation)
		}
		for i := range rows {
			t.Run(route.Operation, func(t *testing.T) { matrixTest(t, route.Method, route.Operation, &rows[i]) })
		}
	}
}

func matrixTest(t *testing.T, method, operation string, row *matrixRow) {
	check := func(column, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s %s, %s: %s, want %s", method, row.target, column, got, want)
		}
	}
	const allowed, denied = "allowed", "AccessDenied"
	inBucket := operation != "ListBuckets" && operation != "CreateBucket"
	others := denied // what root of another account gets
	if !inBucket {
		others = allowed
	}
	if row.public {
		c := newCell(t, nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::bucket/*"}]}`)
		check("anonymous", c.answer(c.request(method, row)), allowed)
		return
	}
	policies := operation == "GetBucketPolicy" || operation == "PutBucketPolicy" || operation == "DeleteBucketPolicy"
	check("owner", newCell(t, rootOf(accountA), "").send(method, row), allowed)
	check("operator", newCell(t, Operator(), "").send(method, row), allowed)
	check("other account", newCell(t, rootOf(accountB), "").send(method, row), others)
	check("user of another account", newCell(t, userOf(accountB, document(t, allowAll)), "").send(method, row), others)
	c := newCell(t, rootOf(accountA), "")
	check("anonymous", c.answer(c.request(method, row)), denied)
	bad := func(code string) string { // HEAD has no code
		if method == "HEAD" {
			return "bad request"
		}
		return code
	}
	check("expired token", c.send(method, row, func(r *http.Request, _ *sigv4.Signer) { r.Header.Set("X-Amz-Security-Token", "expired") }), bad("ExpiredToken"))
	check("wrong region", c.send(method, row, func(_ *http.Request, s *sigv4.Signer) { s.Region = "eu-west-9" }), bad("AuthorizationHeaderMalformed"))

	check("user without a policy", newCell(t, userOf(accountA), "").send(method, row), denied)
	check("policy allows", newCell(t, userOf(accountA, document(t, row.statement("Allow", false))), "").send(method, row), allowed)
	for _, a := range row.actions {
		others := document(t, `{"Effect":"Allow","NotAction":"`+a+`","Resource":"*"}`)
		check("all but "+a, newCell(t, userOf(accountA, others), "").send(method, row), denied)
	}
	check("policy denies", newCell(t, userOf(accountA, document(t, allowAll, row.statement("Deny", false))), "").send(method, row), denied)
	session := userOf(accountA, document(t, allowAll))
	session.Session = document(t, row.statement("Allow", false))
	token := func(r *http.Request, _ *sigv4.Signer) { r.Header.Set("X-Amz-Security-Token", "session") }
	check("session allows", newCell(t, session, "").send(method, row, token), allowed)
	session.Session = document(t, `{"Effect":"Allow","Action":"s3:PutAnalyticsConfiguration","Resource":"*"}`)
	check("session does not", newCell(t, session, "").send(method, row, token), denied)

	c = newCell(t, rootOf(accountA), "")
	check("presigned", c.presigned(method, row, time.Now()), allowed)
	check("presigned, expired", c.presigned(method, row, time.Now().Add(-2*time.Hour)), denied)
	if !inBucket {
		return
	}
	deny := `{"Version":"2012-10-17","Statement":[` + row.statement("Deny", true) + `]}`
	check("bucket policy denies a user", newCell(t, userOf(accountA, document(t, allowAll)), deny).send(method, row), denied)
	root := denied
	if policies {
		root = allowed
	}
	check("bucket policy denies the owner", newCell(t, rootOf(accountA), deny).send(method, row), root)
	check("bucket policy denies the operator", newCell(t, Operator(), deny).send(method, row), root)
	allow := `{"Version":"2012-10-17","Statement":[` + row.statement("Allow", true) + `]}`
	public := allowed
	if slices.ContainsFunc(row.on, func(on string) bool { return strings.HasPrefix(on, "arn:aws:s3:::source") }) {
		public = denied // the source is not public
	}
	check("cross account", newCell(t, userOf(accountB, document(t, allowAll)), allow).send(method, row), public)
	check("cross account, not its own", newCell(t, userOf(accountB), allow).send(method, row), denied)
	c = newCell(t, nil, allow)
	check("public bucket", c.answer(c.request(method, row)), public)
	if err := c.db.SetBucketConfig(t.Context(), "bucket", configPublicBlock, "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"); err != nil {
		t.Fatal(err)
	}
	c.h.buckets.forget("bucket")
	check("restricted public bucket", c.answer(c.request(method, row)), denied)
}

func (c *cell) presigned(method string, row *matrixRow, at time.Time) string {
	r := c.request(method, row)
	if err := c.signer.Presign(r, at, time.Hour); err != nil {
		c.t.Fatal(err)
	}
	return c.answer(r)
}
