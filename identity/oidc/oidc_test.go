package oidc

import (
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	c := &Claims{Audience: "weft", All: map[string]any{"sub": "alice", "aud": []any{"weft", "x"}, "n": 3.0, "ok": true, "Groups": []any{"a", 1.0, "b"},
		"realm_access": map[string]any{"roles": []any{"hpc"}, "deep": map[string]any{"er": "x"}}, "a.b": "dotted"}}
	for name, want := range map[string]string{"sub": "alice", "aud": "weft", "oaud": "weft,x", "n": "3", "ok": "true", "groups": "a,b", "realm_access.roles": "hpc",
		"realm_access.deep.er": "x", "realm_access": "", "none": "", "realm_access.": "", "sub.x": "", "a.b": "dotted"} {
		if got := strings.Join(c.Values(name), ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// FuzzIssuer: whatever a stranger sends as a token is refused or has an issuer.
func FuzzIssuer(f *testing.F) {
	f.Add("nonsense")
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2EifQ.")
	f.Fuzz(func(t *testing.T, token string) {
		issuer, err := Issuer(token)
		if (err == nil) == (issuer == "") {
			t.Errorf("%q, %v", issuer, err)
		}
	})
}

// TestValuesByCase: a claim that is written as asked for is not mistaken for another.
func TestValuesByCase(t *testing.T) {
	c := &Claims{All: map[string]any{"sub": "me", "Sub": "you", "SUB": "you", "a": map[string]any{"b": "inner"}, "a.b": "outer"}}
	for range 100 {
		if sub, ab := c.Values("sub"), c.Values("a.b"); len(sub) != 1 || sub[0] != "me" || len(ab) != 1 || ab[0] != "outer" {
			t.Fatalf("%q, %q", sub, ab)
		}
		if other := c.Values("sUb"); len(other) != 1 || other[0] != c.Values("suB")[0] {
			t.Fatalf("%q", other)
		}
	}
}
