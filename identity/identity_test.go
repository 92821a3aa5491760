package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/memkv"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// rig is two processes over one metadata, with a clock by hand.
type rig struct {
	*testing.T
	kv    metadata.KV
	now   time.Time
	g, g2 *Registry
	d, d2 *Directory
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, kv: memkv.New(), now: time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)}
	ring, err := ParseKeyring(GenerateKeyring())
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*Registry, *Directory) {
		db, err := metadata.New(r.kv, metadata.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g := NewRegistry(db, ring, func() time.Time { return r.now })
		return g, NewDirectory(g)
	}
	r.g, r.d = open()
	r.g2, r.d2 = open()
	return r
}

func (r *rig) must(errs ...error) {
	r.Helper()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

// user makes an account, a user and a key.
func (r *rig) user(name string) (account string, k *Key, secret string) {
	r.Helper()
	a, err := r.g.CreateAccount(r.Context(), name)
	r.must(err)
	_, err = r.g.CreateUser(r.Context(), a.ID, name, nil)
	r.must(err)
	k, secret, err = r.g.CreateKey(r.Context(), a.ID, name, KeyOptions{})
	r.must(err)
	return a.ID, k, secret
}

// may asks whether a key may get an object of its account.
func (r *rig) may(d *Directory, id, token string) bool {
	r.Helper()
	k, err := d.Lookup(r.Context(), id, token)
	r.must(err)
	p := k.Owner.(*s3api.Principal)
	return policy.Decide(&policy.Request{Principal: &p.Principal, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"},
		&policy.Policies{Identity: p.Policies, Session: p.Session, Owner: p.Account})
}

// lookup gives the code of the error, "" for none.
func (r *rig) lookup(d *Directory, id, token string) string {
	k, err := d.Lookup(r.Context(), id, token)
	if err == nil {
		if k.Secret == "" || k.Owner == nil {
			r.Error("a key without secret or owner")
		}
		return ""
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Code
	}
	return err.Error()
}

func TestUsersAndPolicies(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	account, k, secret := r.user("alice")
	got, err := r.d.Lookup(ctx, k.ID, "")
	r.must(err)
	p := got.Owner.(*s3api.Principal)
	if got.Secret != secret || p.Account != account || p.Name != "alice" || p.Root || p.Operator || p.ARNs[0] != UserARN(account, "alice") {
		t.Errorf("%+v", p)
	}
	if r.may(r.d, k.ID, "") {
		t.Error("a new user may read")
	}
	r.must(r.g.Attach(ctx, account, Holder{User: "alice"}, "AmazonS3ReadOnlyAccess", true))
	if !r.may(r.d, k.ID, "") {
		t.Error("an attached policy does not count at once")
	}
	r.must(r.g.Attach(ctx, account, Holder{User: "alice"}, "AmazonS3ReadOnlyAccess", false))
	_, err = r.g.CreateGroup(ctx, account, "readers")
	r.must(err, r.g.SetMember(ctx, account, "readers", "alice", true))
	_, err = r.g.SetPolicy(ctx, account, "read", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`)
	r.must(err, r.g.Attach(ctx, account, Holder{Group: "readers"}, "read", true))
	if !r.may(r.d, k.ID, "") {
		t.Error("the policy of a group does not count")
	}
	_, err = r.g.SetPolicy(ctx, account, "read", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:Get*","Resource":"*"}]}`)
	r.must(err)
	if r.may(r.d, k.ID, "") {
		t.Error("a changed policy does not count")
	}
	for name, c := range map[string]struct{ err, want error }{
		"policy in use":      {r.g.DeletePolicy(ctx, account, "read"), ErrInUse},
		"group in use":       {r.g.DeleteGroup(ctx, account, "readers"), ErrInUse},
		"account in use":     {r.g.DeleteAccount(ctx, account), ErrInUse},
		"unknown policy":     {r.g.Attach(ctx, account, Holder{User: "alice"}, "none", true), ErrNotFound},
		"unknown user":       {r.g.SetMember(ctx, account, "readers", "bob", true), ErrNotFound},
		"other account":      {r.g.SetMember(ctx, s3api.RootAccount, "readers", "alice", true), ErrNotFound},
		"user again":         {second(r.g.CreateUser(ctx, account, "alice", nil)), ErrExists},
		"account again":      {second(r.g.CreateAccount(ctx, "alice")), ErrExists},
		"user of no account": {second(r.g.CreateUser(ctx, "999999999999", "x", nil)), ErrNotFound},
		"bad name":           {second(r.g.CreateUser(ctx, account, "a/b", nil)), ErrInvalid},
		"bad policy":         {second(r.g.SetPolicy(ctx, account, "x", `{}`)), ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	r.must(r.g.DeleteUser(ctx, account, "alice", false))
	if code := r.lookup(r.d, k.ID, ""); code != "InvalidAccessKeyId" {
		t.Errorf("the key of a deleted user: %q", code)
	}
	r.must(r.g.DeleteGroup(ctx, account, "readers"), r.g.DeletePolicy(ctx, account, "read"), r.g.DeleteAccount(ctx, account))
}

func second[T any](_ T, err error) error { return err }

// beforeUpdate is called once, before the next update.
type beforeUpdate struct {
	metadata.KV
	call func()
}

func (b *beforeUpdate) Update(ctx context.Context, fn func(metadata.Txn) error) error {
	if call := b.call; call != nil {
		b.call = nil
		call()
	}
	return b.KV.Update(ctx, fn)
}

// TestBucketOfDeletedAccount: a bucket that is made while its account is deleted keeps the account,
// and none is made for an account that is gone, which another process may take for there.
func TestBucketOfDeletedAccount(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	a, err := r.g.CreateAccount(ctx, "a")
	r.must(err)
	bucket := func(name string) error {
		return second(r.g2.db.MakeBucket(ctx, metadata.Bucket{Name: name, Owner: a.ID}))
	}
	db, err := metadata.New(&beforeUpdate{r.kv, func() { r.must(bucket("b")) }}, metadata.Options{})
	r.must(err)
	if err := NewRegistry(db, r.g.ring, nil).DeleteAccount(ctx, a.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("with a bucket: %v", err)
	}
	r.must(r.g.db.DeleteBucket(ctx, "b"), r.g.DeleteAccount(ctx, a.ID))
	if err := bucket("b"); !errors.Is(err, sigv4.ErrInvalidAccessKeyID) {
		t.Errorf("for an account that is gone: %v", err)
	}
	if list, err := r.g.db.Buckets(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestRevocation: what changes a key counts at once in the process that did it, and
// after Age in another.
func TestRevocation(t *testing.T) {
	for name, revoke := range map[string]func(*rig, *Key) error{
		"disabled": func(r *rig, k *Key) error {
			return r.g.EditKey(r.Context(), k.ID, func(k *Key) { k.Disabled = true })
		},
		"deleted":      func(r *rig, k *Key) error { return r.g.DeleteKey(r.Context(), k.ID) },
		"user deleted": func(r *rig, k *Key) error { return r.g.DeleteUser(r.Context(), k.Account, k.User, false) },
	} {
		r := newRig(t)
		_, k, _ := r.user("alice")
		s, err := r.g.NewSession(t.Context(), k.ID, time.Hour)
		r.must(err)
		check := func(when string, d *Directory, key, session string) {
			t.Helper()
			if got := r.lookup(d, k.ID, ""); got != key {
				t.Errorf("%s, %s: key %q, want %q", name, when, got, key)
			}
			if got := r.lookup(d, s.AccessKey, s.Token); got != session {
				t.Errorf("%s, %s: session %q, want %q", name, when, got, session)
			}
		}
		check("before", r.d, "", "")
		check("before, elsewhere", r.d2, "", "")
		r.must(revoke(r, k))
		check("at once", r.d, "InvalidAccessKeyId", "InvalidAccessKeyId")
		r.now = r.now.Add(Age)
		check("elsewhere", r.d2, "InvalidAccessKeyId", "InvalidAccessKeyId")
	}
}

func TestExpiry(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	account, _, _ := r.user("alice")
	k, _, err := r.g.CreateKey(ctx, account, "alice", KeyOptions{Expires: r.now.Add(time.Second)})
	r.must(err)
	if code := r.lookup(r.d, k.ID, ""); code != "" {
		t.Error(code)
	}
	r.now = r.now.Add(time.Second) // within Age
	if code := r.lookup(r.d, k.ID, ""); code != "InvalidAccessKeyId" {
		t.Errorf("expired: %q", code)
	}
	if _, _, err := r.g.CreateKey(ctx, account, "alice", KeyOptions{Expires: r.now}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	k, _, err = r.g.CreateKey(ctx, account, "alice", KeyOptions{Description: "d"})
	r.must(err)
	next, _, err := r.g.RotateKey(ctx, k.ID, time.Minute)
	r.must(err)
	if next.ID == k.ID || next.Description != "d" || r.lookup(r.d, k.ID, "") != "" || r.lookup(r.d, next.ID, "") != "" {
		t.Errorf("rotated to %+v", next)
	}
	if _, _, err := r.g.RotateKey(ctx, k.ID, time.Hour); !errors.Is(err, ErrInvalid) {
		t.Error("a key that ends because it was rotated was rotated again:", err)
	}
	r.now = r.now.Add(time.Minute)
	if r.lookup(r.d, k.ID, "") != "InvalidAccessKeyId" || r.lookup(r.d, next.ID, "") != "" {
		t.Error("the old key outlives the grace, or the new one does not")
	}
	if _, _, err := r.g.RotateKey(ctx, k.ID, time.Minute); !errors.Is(err, ErrInvalid) {
		t.Error("an expired key was rotated:", err)
	}
	for i := 0; ; i++ {
		if _, _, err = r.g.CreateKey(ctx, account, "alice", KeyOptions{}); err != nil {
			break
		} else if i > MaxKeys {
			t.Fatal("there is no limit of keys")
		}
	}
	if !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	account, k, _ := r.user("alice")
	r.must(r.g.Attach(ctx, account, Holder{User: "alice"}, "AmazonS3FullAccess", true))
	limited, _, err := r.g.CreateKey(ctx, account, "alice", KeyOptions{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}`})
	r.must(err)
	if !r.may(r.d, k.ID, "") || r.may(r.d, limited.ID, "") {
		t.Error("the policy of a key does not limit it")
	}
	s, err := r.g.NewSession(ctx, k.ID, time.Hour)
	r.must(err)
	sl, err := r.g.NewSession(ctx, limited.ID, time.Hour)
	r.must(err)
	if !r.may(r.d2, s.AccessKey, s.Token) || r.may(r.d2, sl.AccessKey, sl.Token) {
		t.Error("a session may not do what its key may")
	}
	for name, c := range map[string][2]string{
		"no token": {s.AccessKey, ""}, "other key": {sl.AccessKey, s.Token}, "not its parent's": {k.ID, s.Token},
		"changed": {s.AccessKey, s.Token[:40] + "AAAA" + s.Token[44:]}, "cut": {s.AccessKey, s.Token[:20]}, "not base64": {s.AccessKey, "\x00"}, "long": {s.AccessKey, strings.Repeat("A", 1<<20)},
	} {
		if code := r.lookup(r.d, c[0], c[1]); code != "InvalidToken" && code != "InvalidAccessKeyId" {
			t.Errorf("%s: %q", name, code)
		}
	}
	r.now = r.now.Add(time.Hour)
	if code := r.lookup(r.d2, s.AccessKey, s.Token); code != "ExpiredToken" {
		t.Errorf("old session: %q", code)
	}
	if _, err := r.g.NewSession(ctx, k.ID, time.Second); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestSealed: no secret is in the metadata, and another keyring does not open it.
func TestSealed(t *testing.T) {
	r := newRig(t)
	_, k, secret := r.user("alice")
	seen := 0
	r.must(r.kv.View(t.Context(), func(rd metadata.Reader) error {
		return rd.Scan(nil, nil, func(key, value []byte) bool {
			if seen++; bytes.Contains(value, []byte(secret)) || bytes.Contains(key, []byte(secret)) {
				t.Errorf("the secret is in the clear at %q", key)
			}
			return true
		})
	}))
	if seen < 3 {
		t.Errorf("%d records", seen)
	}
	other, err := ParseKeyring(GenerateKeyring())
	r.must(err)
	g := NewRegistry(r.g.db, other, func() time.Time { return r.now })
	_, err = NewDirectory(g).Lookup(t.Context(), k.ID, "")
	if _, told := errors.AsType[*sigv4.Error](err); !errors.Is(err, ErrSealed) || told || strings.Contains(fmt.Sprint(err), secret) {
		t.Errorf("another keyring: %v", err)
	}
	// A record under another key's name does not open.
	r.must(r.g.update(t.Context(), func(w metadata.EntityTxn) error {
		stolen := *k
		stolen.ID = "AKIASTOLEN"
		return store(w, kindKey, "", stolen.ID, &stolen)
	}))
	if _, err := r.d.Lookup(t.Context(), "AKIASTOLEN", ""); !errors.Is(err, ErrSealed) {
		t.Errorf("a moved record: %v", err)
	}
}

func TestKeyring(t *testing.T) {
	first, second := GenerateKeyring(), GenerateKeyring()
	one, err := ParseKeyring(first)
	if err != nil {
		t.Fatal(err)
	}
	both, err := ParseKeyring(slices.Concat(second, first))
	if err != nil {
		t.Fatal(err)
	}
	sealed := one.seal([]byte("s"), "b")
	if got, err := both.open(sealed, "b"); err != nil || string(got) != "s" {
		t.Errorf("an added key: %q, %v", got, err)
	}
	if _, err := one.open(both.seal([]byte("s"), "b"), "b"); !errors.Is(err, ErrSealed) {
		t.Error("the first key does not seal:", err)
	}
	if _, err := one.open(sealed, "other"); !errors.Is(err, ErrSealed) {
		t.Error("opened under another name:", err)
	}
	for i := range 8 * len(sealed) {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := one.open(bad, "b"); !errors.Is(err, ErrSealed) {
			t.Errorf("bit %d flipped: %v", i, err)
		}
	}
	line := string(bytes.Split(first, []byte("\n"))[2])
	for _, text := range []string{"", "#", "x y", line[:40], line + "00", line + "\n" + line, strings.Replace(line, " ", "", 1)} {
		if _, err := ParseKeyring([]byte(text)); err == nil || strings.Contains(err.Error(), line[17:30]) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzSealed: any bytes are refused, as a keyring, a sealed secret and a token.
func FuzzSealed(f *testing.F) {
	ring, err := ParseKeyring(GenerateKeyring())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("x"))
	f.Add(ring.seal([]byte("s"), "other"))
	f.Add(GenerateKeyring())
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := ring.open(b, "bound"); err == nil {
			t.Fatal("opened")
		}
		_, _ = ParseKeyring(b)
		_, _ = decode[Key](b)
	})
}

// TestConcurrent runs look-ups beside changes, for the race detector.
func TestConcurrent(t *testing.T) {
	r := newRig(t)
	_, k, _ := r.user("alice")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			r.lookup(r.d, k.ID, "")
		}
	}()
	for i := range 50 {
		r.must(r.g.EditKey(t.Context(), k.ID, func(k *Key) { k.Disabled = i%2 == 0 }))
	}
	<-done
	if code := r.lookup(r.d, k.ID, ""); code != "" {
		t.Errorf("at last enabled, but %q", code)
	}
}

func BenchmarkLookup(b *testing.B) {
	db, err := metadata.New(memkv.New(), metadata.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ring, _ := ParseKeyring(GenerateKeyring())
	g := NewRegistry(db, ring, nil)
	a, _ := g.CreateAccount(b.Context(), "a")
	k, _, err := g.CreateKey(b.Context(), a.ID, "", KeyOptions{})
	if err != nil {
		b.Fatal(err)
	}
	d := NewDirectory(g)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Lookup(b.Context(), k.ID, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLimits: what an account and a key may use reaches those who sign, also in sessions.
func TestLimits(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	account, k, _ := r.user("alice")
	owner := func(id, token string) *s3api.Principal {
		t.Helper()
		got, err := r.d.Lookup(ctx, id, token)
		r.must(err)
		return got.Owner.(*s3api.Principal)
	}
	ofAccount, ofKey := fair.Rates{Requests: 5, Bandwidth: MinBandwidth}, fair.Rates{Requests: 2}
	r.must(r.g.SetLimits(ctx, account, ofAccount, 3), r.g.SetKeyLimits(ctx, k.ID, ofKey))
	s, err := r.g.NewSession(ctx, k.ID, time.Hour)
	r.must(err)
	for _, p := range []*s3api.Principal{owner(k.ID, ""), owner(s.AccessKey, s.Token)} {
		if p.Limits != ofAccount || p.KeyLimits != ofKey || p.Weight != 3 || p.Key != k.ID {
			t.Errorf("%+v", p)
		}
	}
	_, err = r.g.CreateRole(ctx, account, "role", RoleOptions{Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`})
	r.must(err)
	for _, h := range []Holder{{User: "alice"}, {Role: "role"}} {
		r.must(r.g.Attach(ctx, account, h, "AdministratorAccess", true))
	}
	who := owner(k.ID, "")
	for range 2 { // and from one role to another
		s, _, err := r.g.AssumeRole(ctx, who, &Assume{Action: "sts:AssumeRole", Account: account, Role: "role", Name: "name"})
		r.must(err)
		who = owner(s.AccessKey, s.Token)
		if who.Limits != ofAccount || who.KeyLimits != ofKey || who.Key != k.ID {
			t.Errorf("as a role: %+v", who)
		}
	}
	next, _, err := r.g.RotateKey(ctx, k.ID, time.Hour)
	r.must(err)
	if p := owner(next.ID, ""); p.KeyLimits != ofKey {
		t.Errorf("the key after a rotation: %+v", p)
	}
	for what, err := range map[string]error{
		"too little": r.g.SetLimits(ctx, account, fair.Rates{Bandwidth: 1000}, 0),
		"negative":   r.g.SetKeyLimits(ctx, k.ID, fair.Rates{Requests: -1}),
		"a weight":   r.g.SetLimits(ctx, account, fair.Rates{}, 1e6),
		"root":       r.g.SetLimits(ctx, s3api.RootAccount, fair.Rates{Requests: 1}, 0),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}

	// The quota of an account goes with it.
	other, err := r.g.CreateAccount(ctx, "other")
	r.must(err)
	db, err := metadata.New(r.kv, metadata.Options{})
	r.must(err, db.SetQuota(ctx, metadata.QuotaOf{Account: other.ID}, metadata.Quota{Bytes: 1}), r.g.DeleteAccount(ctx, other.ID))
	if list, err := db.Quotas(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
