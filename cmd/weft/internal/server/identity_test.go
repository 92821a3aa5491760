package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weftstore/weft/cmd/weft/internal/adminsock"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/internal/freeport"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/sigv4"
)

// identity runs one operation through the admin socket.
func (r *rig) identity(cfg Config, op adminsock.Identity, result any) {
	r.t.Helper()
	c := adminsock.Client{Socket: filepath.Join(cfg.State, adminsock.SocketFile)}
	if err := c.Do(r.t.Context(), "identity", adminsock.Args{Identity: &op}, nil, result); err != nil {
		r.t.Fatal(err)
	}
}

// as is a client with other keys.
func (r *rig) as(access, secret, token string) *minio.Client {
	r.t.Helper()
	cl, err := minio.New(r.Addr(), &minio.Options{Creds: miniocreds.NewStaticV4(access, secret, token), Region: "us-east-1", Transport: r.trans, MaxRetries: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	return cl
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; got != code {
		t.Errorf("%s: %q (%v), want %q", what, got, err, code)
	}
}

// TestTenants takes two accounts through a whole server: users, keys, policies, bucket
// policies, sessions, revocation and a restart; and looks for secrets where none may be.
func TestTenants(t *testing.T) {
	cfg := testConfig(t, 4)
	cfg.AuditLog = filepath.Join(cfg.State, "audit.jsonl")
	cfg.Counters = metrics.New("test")
	var err error
	if cfg.Metrics, err = freeport.Address(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r := start(t, cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx := t.Context()
	var none struct{}
	var accounts [2]identity.Account
	var roots [2]gateway.NewKey
	for i, name := range []string{"physics", "biology"} {
		r.identity(cfg, adminsock.Identity{Op: "account create", Name: name}, &accounts[i])
		r.identity(cfg, adminsock.Identity{Op: "key create", Account: name}, &roots[i])
	}
	physics, biology := r.as(roots[0].ID, roots[0].Secret, ""), r.as(roots[1].ID, roots[1].Secret, "")
	put := func(cl *minio.Client, bucket string) error {
		_, err := cl.PutObject(ctx, bucket, "k", strings.NewReader("hello"), 5, minio.PutObjectOptions{})
		return err
	}
	stat := func(cl *minio.Client, bucket string) error {
		_, err := cl.StatObject(ctx, bucket, "k", minio.StatObjectOptions{})
		return err
	}
	wantCode(t, "make a bucket", physics.MakeBucket(ctx, "data", minio.MakeBucketOptions{}), "")
	wantCode(t, "put", put(physics, "data"), "")
	wantCode(t, "another account's bucket", put(biology, "data"), "AccessDenied")
	wantCode(t, "make another account's bucket", biology.MakeBucket(ctx, "data", minio.MakeBucketOptions{}), "BucketAlreadyExists")
	if all, err := biology.ListBuckets(ctx); err != nil || len(all) != 0 {
		t.Errorf("another account sees %v, %v", all, err)
	}
	if all, err := physics.ListBuckets(ctx); err != nil || len(all) != 1 {
		t.Errorf("the owner sees %v, %v", all, err)
	}

	var alice gateway.NewKey
	r.identity(cfg, adminsock.Identity{Op: "user create", Account: "biology", User: "alice"}, &none)
	r.identity(cfg, adminsock.Identity{Op: "key create", Account: "biology", User: "alice"}, &alice)
	r.identity(cfg, adminsock.Identity{Op: "policy attach", Account: accounts[1].ID, User: "alice", Name: "AmazonS3ReadOnlyAccess", On: true}, &none)
	cl := r.as(alice.ID, alice.Secret, "")
	wantCode(t, "a user without the bucket's leave", stat(cl, "data"), "AccessDenied")
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + accounts[1].ID + `"},"Action":"s3:*","Resource":"arn:aws:s3:::data/*"}]}`
	wantCode(t, "bucket policy", physics.SetBucketPolicy(ctx, "data", allow), "")
	wantCode(t, "with it", stat(cl, "data"), "")
	wantCode(t, "but its own policy is for reading", put(cl, "data"), "AccessDenied")
	if got, err := physics.GetBucketPolicy(ctx, "data"); err != nil || got != allow {
		t.Errorf("policy %q, %v", got, err)
	}

	var session identity.Session
	r.identity(cfg, adminsock.Identity{Op: "key session", Key: alice.ID, Expires: time.Now().Add(time.Hour)}, &session)
	temporary := r.as(session.AccessKey, session.Secret, session.Token)
	wantCode(t, "a session", stat(temporary, "data"), "")
	wantCode(t, "a session does no more than its key", put(temporary, "data"), "AccessDenied")
	url, err := temporary.PresignedGetObject(ctx, "data", "k", time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if code := r.status(url.String()); code != http.StatusOK {
		t.Errorf("a URL presigned in a session: %d", code)
	}

	public := "http://" + r.Addr() + "/data/k"
	if code := r.status(public); code != http.StatusForbidden {
		t.Errorf("anonymous: %d", code)
	}
	wantCode(t, "public", physics.SetBucketPolicy(ctx, "data", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}]}`), "")
	if code := r.status(public); code != http.StatusOK {
		t.Errorf("anonymous, public bucket: %d", code)
	}

	scraped := scrape(t, cfg)
	r.stop()
	cfg.Counters = metrics.New("test")
	r = start(t, cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	cl = r.as(alice.ID, alice.Secret, "")
	wantCode(t, "after a restart", stat(cl, "data"), "")
	r.identity(cfg, adminsock.Identity{Op: "key disable", Key: alice.ID, On: true}, &none)
	wantCode(t, "a disabled key", put(cl, "data"), "InvalidAccessKeyId")
	wantCode(t, "its session", put(r.as(session.AccessKey, session.Secret, session.Token), "data"), "InvalidAccessKeyId")
	wantCode(t, "a wrong secret", put(r.as(roots[0].ID, alice.Secret, ""), "data"), "SignatureDoesNotMatch")
	answers := scraped + r.wrong("http://"+r.Addr()+"/data/k", roots[0], alice, session) + scrape(t, cfg)
	r.stop()
	if audit, err := os.ReadFile(cfg.AuditLog); err != nil || !strings.Contains(string(audit), `"operation":"PutObject"`) || !strings.Contains(string(audit), `"principal":"arn:aws:iam::`+accounts[1].ID+`:user/alice"`) {
		t.Errorf("audit log: %v\n%s", err, audit)
	}
	mustNotHold(t, cfg, log.String()+answers, roots[0].Secret, roots[1].Secret, alice.Secret, session.Secret, session.Token,
		customerKey, url.Query().Get("X-Amz-Signature"))
}

// customerKey is one of SSE-C.
var customerKey = base64.StdEncoding.EncodeToString([]byte("key that nobody else may know..."))

// wrong sends requests that fail in many ways and collects what is answered.
func (r *rig) wrong(url string, root, user gateway.NewKey, s identity.Session) string {
	r.t.Helper()
	var all strings.Builder
	for _, c := range []struct {
		signer *sigv4.Signer
		token  string
	}{
		{&sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: root.ID, SecretKey: "wrong"}, Region: "us-east-1"}, ""},
		{&sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: root.ID, SecretKey: root.Secret}, Region: "nowhere"}, ""},
		{&sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: user.ID, SecretKey: user.Secret}, Region: "us-east-1"}, ""},
		{&sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: s.AccessKey, SecretKey: s.Secret}, Region: "us-east-1"}, "forged" + s.Token[6:10]},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
			req, err := http.NewRequestWithContext(r.t.Context(), method, url+"?partNumber=x&uploadId=y", http.NoBody)
			if err != nil {
				r.t.Fatal(err)
			}
			if c.token != "" {
				req.Header.Set("X-Amz-Security-Token", c.token)
			}
			req.Header.Set("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")
			req.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key", customerKey)
			req.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key-Md5", "wrong")
			if err := c.signer.SignHeader(req, sigv4.EmptySHA256, time.Now()); err != nil {
				r.t.Fatal(err)
			}
			resp, err := r.trans.RoundTrip(req)
			if err != nil {
				r.t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 {
				r.t.Errorf("%s: %d", method, resp.StatusCode)
			}
			all.Write(body)
			fmt.Fprintln(&all, resp.Header)
		}
	}
	return all.String()
}

func (r *rig) status(url string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := r.trans.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// scrape reads the metrics.
func scrape(t *testing.T, cfg Config) string {
	t.Helper()
	res, err := http.Get("http://" + cfg.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(text), "weft_s3_requests_total{") {
		t.Errorf("metrics: %v\n%.2000s", err, text)
	}
	return string(text)
}

// mustNotHold looks for secrets in the log, the state directory and the targets.
func mustNotHold(t *testing.T, cfg Config, log string, secrets ...string) {
	t.Helper()
	check := func(where string, data []byte) {
		for _, s := range secrets {
			if len(s) < 20 || bytes.Contains(data, []byte(s)) {
				t.Errorf("a secret is in %s", where)
			}
		}
	}
	check("the log", []byte(log))
	files := 0
	for _, root := range append([]string{cfg.State}, cfg.Targets...) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			files++
			check(path, data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 5 {
		t.Errorf("looked at %d files only", files)
	}
}

// TestBounds: a quota and a limit that are set through the admin socket hold for requests.
func TestBounds(t *testing.T) {
	cfg := testConfig(t, 4)
	r := start(t, cfg, slog.New(slog.DiscardHandler))
	ctx := t.Context()
	var account identity.Account
	var key gateway.NewKey
	var none struct{}
	r.identity(cfg, adminsock.Identity{Op: "account create", Name: "physics"}, &account)
	r.identity(cfg, adminsock.Identity{Op: "key create", Account: "physics"}, &key)
	cl := r.as(key.ID, key.Secret, "")
	put := func(name string, size int) error {
		_, err := cl.PutObject(ctx, "data", name, bytes.NewReader(make([]byte, size)), int64(size), minio.PutObjectOptions{})
		return err
	}
	wantCode(t, "make a bucket", cl.MakeBucket(ctx, "data", minio.MakeBucketOptions{}), "")
	wantCode(t, "before", put("a", 1000), "")
	quota := func(q *adminsock.Quota, result any) {
		t.Helper()
		c := adminsock.Client{Socket: filepath.Join(cfg.State, adminsock.SocketFile)}
		if err := c.Do(ctx, "quota", adminsock.Args{Quota: q}, nil, result); err != nil {
			t.Fatal(err)
		}
	}
	quota(&adminsock.Quota{QuotaOf: metadata.QuotaOf{Account: "physics"}, Limit: metadata.Quota{Bytes: 2000}}, &none)
	wantCode(t, "beyond", put("b", 1001), "QuotaExceeded")
	wantCode(t, "within", put("b", 1000), "")
	wantCode(t, "full", put("c", 1), "QuotaExceeded")
	var list []metadata.QuotaState
	if quota(nil, &list); len(list) != 1 || list[0].Used != (metadata.Quota{Bytes: 2000, Objects: 2}) || list[0].Account != account.ID {
		t.Errorf("%+v", list)
	}

	r.identity(cfg, adminsock.Identity{Op: "limit", Account: "physics", Limits: fair.Rates{Requests: 20}}, &none)
	begin := time.Now()
	for range 30 {
		if _, err := cl.StatObject(ctx, "data", "a", minio.StatObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("30 requests at 20 a second, with as many in store, took %s", took)
	}
}
