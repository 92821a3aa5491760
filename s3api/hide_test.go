package s3api

import (
	"net/http"
	"testing"
)

// Whether a key exists is told to those who might list it.
func TestHideByPrefix(t *testing.T) {
	c := newCell(t, rootOf(accountB), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket","Condition":{"StringLike":{"s3:prefix":"open/*"}}},
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`)
	for target, want := range map[string]string{"/bucket/open/absent": "allowed", "/bucket/absent": "AccessDenied"} {
		if got := c.send(http.MethodGet, &matrixRow{target: target}); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
