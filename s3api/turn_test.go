package s3api

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/sigv4"
)

// TestLimits: requests and bytes of a tenant take the time that its rates say, in both
// directions; those of another do not.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, free := rootOf(accountA), rootOf(accountB)
		limited.Limits = fair.Rates{Requests: 10, Bandwidth: 1 << 20}
		lookup := func(_ context.Context, key, _ string) (sigv4.Key, error) {
			who := free
			if key == "limited" {
				who = limited
			}
			return sigv4.Key{Secret: "secret", Owner: who}, nil
		}
		e := newEnv(t, func(c *Config) {
			c.Auth, c.Gate, c.Meter = &sigv4.Verifier{Lookup: lookup}, fair.NewGate(4, 100), fair.NewMeter()
		})
		for bucket, owner := range map[string]string{"limited": accountA, "free": accountB} {
			if _, err := e.db.MakeBucket(t.Context(), metadata.Bucket{Name: bucket, Owner: owner}); err != nil {
				t.Fatal(err)
			}
		}
		do := func(key, method, body string) (int, time.Duration) {
			r := httptest.NewRequest(method, "http://localhost/"+key+"/k", strings.NewReader(body))
			s := &sigv4.Signer{Credentials: sigv4.Credentials{AccessKey: key, SecretKey: "secret"}, Region: "us-east-1"}
			if err := s.SignHeader(r, "UNSIGNED-PAYLOAD", time.Now()); err != nil {
				t.Fatal(err)
			}
			w, start := httptest.NewRecorder(), time.Now()
			e.h.ServeHTTP(w, r)
			return w.Code, time.Since(start)
		}
		for _, c := range []struct {
			key      string
			atLeast  time.Duration
			requests time.Duration
		}{{"limited", 1990 * time.Millisecond, 900 * time.Millisecond}, {"free", 0, 0}} {
			code, took := do(c.key, "PUT", strings.Repeat("x", 3<<20))
			if code != 200 || took < c.atLeast || c.atLeast == 0 && took > 0 {
				t.Errorf("%s: PUT %d in %s", c.key, code, took)
			}
			if code, took = do(c.key, "GET", ""); code != 200 || took < c.atLeast {
				t.Errorf("%s: GET %d in %s", c.key, code, took)
			}
			time.Sleep(time.Minute)
			start := time.Now()
			for range 20 {
				if code, _ := do(c.key, "HEAD", ""); code != 200 {
					t.Errorf("%s: HEAD %d", c.key, code)
				}
			}
			if took := time.Since(start); took < c.requests || c.requests == 0 && took > 0 {
				t.Errorf("%s: 20 requests in %s", c.key, took)
			}
		}
	})
}

// TestFormLimits: an upload by a form is a request of who signed it.
func TestFormLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := rootOf(accountA)
		limited.Limits = fair.Rates{Requests: 10, Bandwidth: 1 << 20}
		lookup := func(context.Context, string, string) (sigv4.Key, error) {
			return sigv4.Key{Secret: "secret", Owner: limited}, nil
		}
		e := newEnv(t, func(c *Config) {
			c.Auth, c.Gate, c.Meter = &sigv4.Verifier{Lookup: lookup}, fair.NewGate(4, 100), fair.NewMeter()
			c.Now = time.Now
		})
		if _, err := e.db.MakeBucket(t.Context(), metadata.Bucket{Name: "bucket", Owner: accountA}); err != nil {
			t.Fatal(err)
		}
		form := postFile(strings.Repeat("x", 3<<20), signed(`{"bucket":"bucket"},{"key":"k"}`, "key", "k")...)
		start := time.Now()
		if w := e.post(form); w.Code != 204 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if took := time.Since(start); took < 1900*time.Millisecond { // what is buffered with the fields is free
			t.Errorf("3 MiB took %s", took)
		}
		time.Sleep(time.Minute)
		form, start = postForm(signed(`{"bucket":"bucket"},{"key":"k"}`, "key", "k")...), time.Now()
		for range 20 {
			if w := e.post(form); w.Code != 204 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		if took := time.Since(start); took < 900*time.Millisecond {
			t.Errorf("20 requests took %s", took)
		}
	})
}
