package accesslog

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Record is one request. Empty texts and negative numbers are written as "-".
type Record struct {
	Owner      string // canonical id of the owner of the source bucket
	Bucket     string
	Time       time.Time
	RemoteIP   string
	Requester  string // ARN or canonical id; "" for nobody
	RequestID  string
	Operation  string // such as REST.GET.OBJECT
	Key        string
	Method     string
	Path       string // as the client sent it, still escaped
	Query      string // as the client sent it; what is secret in it is left out
	Proto      string
	Status     int
	Code       string // S3 error code; "" on success
	Sent       int64  // bytes of the response's body
	ObjectSize int64
	Total      time.Duration
	// Turnaround is from the last byte of the request to the first of the response.
	Turnaround time.Duration
	Referer    string
	UserAgent  string
	VersionID  string
	HostID     string
	Signature  string // SigV4
	Cipher     string
	Auth       string // AuthHeader, QueryString
	Host       string
	TLS        string // TLSv1.3
}

// timeLayout is strftime's [%d/%b/%Y:%H:%M:%S %z].
const timeLayout = "[02/Jan/2006:15:04:05 -0700]"

// appendLine writes the fields in S3's order, and a newline.
func (r *Record) appendLine(b []byte) []byte {
	uri := ""
	if r.Method != "" {
		uri = r.Method + " " + r.Path
		if r.Query != "" {
			uri += "?" + redact(r.Query)
		}
		uri += " " + r.Proto
	}
	fields := [...]string{
		escape(r.Owner), escape(r.Bucket), r.Time.UTC().Format(timeLayout), escape(r.RemoteIP), escape(r.Requester),
		escape(r.RequestID), escape(r.Operation), escape(r.Key), quote(uri), number(int64(r.Status)), escape(r.Code),
		number(r.Sent), number(r.ObjectSize), number(r.Total.Milliseconds()), number(r.Turnaround.Milliseconds()),
		quote(r.Referer), quote(r.UserAgent), escape(r.VersionID), escape(r.HostID), escape(r.Signature), escape(r.Cipher),
		escape(r.Auth), escape(r.Host), escape(r.TLS), "-", "-", // access point, ACL required
	}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ' ')
		}
		if f == "" {
			f = "-"
		}
		b = append(b, f...)
	}
	return append(b, '\n')
}

func number(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// escape keeps a field one word: what is not printable ASCII, blanks, quotes and percent
// signs are percent-encoded.
func escape(s string) string { return encode(s, false) }

// quote is a field that may have blanks, in quotes; nobody can end it from inside.
func quote(s string) string {
	if s == "" {
		return `"-"`
	}
	return `"` + encode(s, true) + `"`
}

func encode(s string, quoted bool) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return c > ' ' && c < 0x7f && c != '"' && (quoted || c != '%') || c == ' ' && quoted
	}
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, 3*len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// harmless are parameters of a signed URL whose values give nothing away. Others that
// begin with X-Amz- are the signature, a token, or headers such as customers' keys.
var harmless = map[string]bool{
	"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-expires": true, "x-amz-signedheaders": true,
}

// redact leaves out the values of parameters that are secret.
func redact(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, given := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		lower := strings.ToLower(plain)
		secret := err != nil || lower == "signature" || strings.HasPrefix(lower, "x-amz-") && !harmless[lower]
		if given && secret {
			pairs[i] = name + "=-"
		}
	}
	return strings.Join(pairs, "&")
}
