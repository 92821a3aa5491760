package s3api

import (
	"net"
	"strings"
	"unicode/utf8"

	"github.com/weftstore/weft/metadata"
)

// target is what a request is about.
type target struct {
	bucket, key string
}

func (t target) level() Level {
	switch {
	case t.bucket == "":
		return Service
	case t.key == "":
		return BucketLevel
	default:
		return ObjectLevel
	}
}

// parseTarget splits host and path. path is decoded, raw as it was on the wire or
// "" when it is path's usual encoding; the bucket ends at the first slash of the
// wire's form, so an escaped slash belongs to a name. Nothing is cleaned: "//",
// "." and a trailing slash are parts of keys.
func parseTarget(host, path, raw string, domains []string) (target, error) {
	if path == "" || path[0] != '/' {
		return target{}, errInvalidURI
	}
	if bucket := bucketOfHost(host, domains); bucket != "" {
		return checkTarget(target{bucket: bucket, key: path[1:]})
	}
	if raw != "" {
		first, _, _ := strings.Cut(raw[1:], "/")
		if strings.Contains(first, "%2F") || strings.Contains(first, "%2f") {
			return target{}, errInvalidBucketName
		}
	}
	bucket, key, _ := strings.Cut(path[1:], "/")
	if bucket == "" && key != "" {
		return target{}, errInvalidBucketName
	}
	return checkTarget(target{bucket: bucket, key: key})
}

// bucketOfHost finds the bucket in a virtual-hosted name, "" if there is none.
func bucketOfHost(host string, domains []string) string {
	if len(domains) == 0 {
		return ""
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, d := range domains {
		n := len(host) - len(d) - 1
		if n > 0 && host[n] == '.' && strings.EqualFold(host[n+1:], d) {
			return strings.ToLower(host[:n])
		}
	}
	return ""
}

func checkTarget(t target) (target, error) {
	if t.key == "" {
		return t, nil
	}
	return t, checkKey(t.key)
}

// checkKey refuses what is no key of S3's.
func checkKey(key string) error {
	if len(key) > metadata.MaxKey {
		return errKeyTooLong.with("Size", itoa(len(key))).with("MaxSizeAllowed", itoa(metadata.MaxKey))
	}
	if !utf8.ValidString(key) {
		return errInvalidArgument.saying("Object key is not valid UTF-8")
	}
	if strings.IndexByte(key, 0) >= 0 {
		return errInvalidArgument.saying("Object key contains a NUL character")
	}
	if strings.Contains(key, "..") && climbs(key) {
		return errInvalidURI
	}
	return nil
}

// climbs reports whether ".." segments lead above the bucket, which AWS refuses.
func climbs(key string) bool {
	depth := 0
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "..":
			if depth--; depth < 0 {
				return true
			}
		case "", ".":
		default:
			depth++
		}
	}
	return false
}

// validLabels reports whether name could be a host name: labels between dots are
// not empty and neither begin nor end with a hyphen.
func validLabels(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// validBucketName applies AWS's rules for general purpose buckets (Amazon S3 User
// Guide, "General purpose bucket naming rules").
func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || !validLabels(name) {
		return false
	}
	digits, dots := 0, 0
	for i := range len(name) {
		c := name[i]
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z':
		case c == '.':
			dots++
		case c == '-':
		default:
			return false
		}
	}
	if dots == 3 && digits+dots == len(name) && net.ParseIP(name) != nil {
		return false
	}
	for _, p := range [...]string{"xn--", "sthree-"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, s := range [...]string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, s) {
			return false
		}
	}
	return true
}

// lookVersion is what is known of the version that versionId names. It puts the header
// with the version's id.
func (c *call) lookVersion() (*metadata.Version, error) {
	versionID := c.query.get("versionId")
	if err := checkVersionID(versionID); err != nil {
		return nil, err
	}
	obj, err := c.h.cfg.Objects.Open(c.ctx, c.bucket, c.key, versionID)
	if err != nil {
		return nil, err
	}
	defer obj.Close()
	v, id := obj.Info()
	if err := c.judged.unjudged(v); err != nil {
		return nil, err
	}
	if id != "" {
		c.set("X-Amz-Version-Id", id)
	}
	return v, nil
}
