package sigv4

import (
	"net/http"
	"strings"
	"time"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	terminal    = "aws4_request"
	service     = "s3"
	stampLayout = "20060102T150405Z"
	dateLayout  = "20060102"

	maxSignedHeaders = 100
	maxExpires       = 7 * 24 * time.Hour
	maxSkew          = 15 * time.Minute
)

// authorization is what a request claims, from its header or its query. The strings alias the request's.
type authorization struct {
	credential    credential
	signedHeaders string // as sent: lower case, sorted, separated by semicolons
	signature     string
	stamp         string // ISO 8601 basic, "20130524T000000Z"
	payload       string // the last line of the canonical request
	token         string // session token of a presigned request
	presigned     bool
}

// credential is "access-key/date/region/service/aws4_request"; scope is all but the access key.
type credential struct {
	accessKey, scope                string
	date, region, service, terminal string
}

// parseCredential splits from the right, since an access key might hold a slash and the scope cannot.
func parseCredential(s string) (credential, bool) {
	var c credential
	rest, ok := s, true
	cut := func() (part string) {
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			ok = false
			return ""
		}
		part, rest = rest[i+1:], rest[:i]
		return part
	}
	c.terminal, c.service, c.region, c.date = cut(), cut(), cut(), cut()
	if !ok || rest == "" || c.region == "" || !isDate(c.date) {
		return credential{}, false
	}
	c.accessKey, c.scope = rest, s[len(rest)+1:]
	return c, true
}

func isDate(s string) bool {
	if len(s) != len(dateLayout) {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseHeader reads "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...", the parts in any order.
func parseHeader(h string) (authorization, error) {
	var a authorization
	scheme, rest, _ := strings.Cut(h, " ")
	if scheme != algorithm {
		if scheme == "AWS" || strings.HasPrefix(scheme, "AWS4-") {
			return a, errMechanism
		}
		return a, errAuthType
	}
	var cred string
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		var dst *string
		switch name {
		case "Credential":
			dst = &cred
		case "SignedHeaders":
			dst = &a.signedHeaders
		case "Signature":
			dst = &a.signature
		}
		if !ok || dst == nil || *dst != "" || value == "" {
			return a, malformed("the authorization component \"", clip(strings.TrimSpace(part)), "\" is malformed.")
		}
		*dst = value
	}
	switch {
	case cred == "":
		return a, malformed("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	case a.signedHeaders == "":
		return a, malformed("missing SignedHeaders.")
	case a.signature == "":
		return a, malformed("missing Signature.")
	}
	c, ok := parseCredential(cred)
	if !ok {
		return a, malformed("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	a.credential = c
	return a, nil
}

// clip bounds what an error repeats of the client's own words.
func clip(s string) string { return s[:min(len(s), 128)] }

// stampOf returns the time of a header-signed request, in the form that the string to sign has it and parsed.
func stampOf(h http.Header) (string, time.Time, error) {
	if v := h["X-Amz-Date"]; len(v) > 0 {
		t, err := time.Parse(stampLayout, v[0])
		if err != nil || len(v) > 1 {
			return "", time.Time{}, errNoDate
		}
		return v[0], t, nil
	}
	date := h.Get("Date")
	if t, err := time.Parse(stampLayout, date); err == nil {
		return date, t, nil
	}
	t, err := http.ParseTime(date)
	if err != nil {
		return "", time.Time{}, errNoDate
	}
	return t.UTC().Format(stampLayout), t, nil
}

// validSignedHeaders checks the list: tokens in lower case, strictly ascending (so none twice), at most 100.
func validSignedHeaders(list string) bool {
	last := ""
	for n := 0; ; n++ {
		name, rest, more := strings.Cut(list, ";")
		if n == maxSignedHeaders || name <= last || !isLowerToken(name) {
			return false
		}
		if !more {
			return true
		}
		last, list = name, rest
	}
}

// isLowerToken accepts the characters of an HTTP token (RFC 9110, section 5.6.2) without upper-case letters.
func isLowerToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("-_!#$%&'*+.^`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
