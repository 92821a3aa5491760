package s3api

import (
	"net/http"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
)

// preconditions are the conditional headers of a read, or of a copy's source.
type preconditions struct {
	match, noneMatch          string
	hasMatch, hasNoneMatch    bool
	modifiedSince, unmodSince time.Time
}

// readConditions collects the headers with a prefix: "" or "X-Amz-Copy-Source-".
// Dates that are none are ignored (RFC 9110, section 13.1.3).
func readConditions(h http.Header, prefix string) preconditions {
	var p preconditions
	if v := h[prefix+"If-Match"]; len(v) > 0 {
		p.match, p.hasMatch = strings.Join(v, ","), true
	}
	if v := h[prefix+"If-None-Match"]; len(v) > 0 {
		p.noneMatch, p.hasNoneMatch = strings.Join(v, ","), true
	}
	if v := h[prefix+"If-Modified-Since"]; len(v) > 0 {
		p.modifiedSince, _ = http.ParseTime(v[0])
	}
	if v := h[prefix+"If-Unmodified-Since"]; len(v) > 0 {
		p.unmodSince, _ = http.ParseTime(v[0])
	}
	return p
}

// check evaluates in the order of RFC 9110, section 13.2.2. It returns nil,
// errPreconditionFailed or errNotModified; the latter is a failure, too, for
// what is no read.
func (p *preconditions) check(v *metadata.Version) error {
	modified := v.Modified.Truncate(time.Second)
	switch {
	case p.hasMatch:
		if !etagListed(p.match, v.ETag(), false) {
			return errPreconditionFailed.with("Condition", "If-Match")
		}
	case !p.unmodSince.IsZero() && modified.After(p.unmodSince):
		return errPreconditionFailed.with("Condition", "If-Unmodified-Since")
	}
	switch {
	case p.hasNoneMatch:
		if etagListed(p.noneMatch, v.ETag(), true) {
			return errNotModified.with("Condition", "If-None-Match")
		}
	case !p.modifiedSince.IsZero() && !modified.After(p.modifiedSince):
		return errNotModified.with("Condition", "If-Modified-Since")
	}
	return nil
}

// etagListed looks for an ETag (without quotes) in a header's list. Clients leave
// the quotes out often enough that AWS takes both.
func etagListed(list, etag string, weak bool) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if rest, ok := strings.CutPrefix(one, "W/"); ok {
			if !weak {
				continue
			}
			one = rest
		}
		if one == "*" || unquote(one) == etag {
			return true
		}
	}
	return false
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// maxConditionTags bounds the ETags of one header.
const maxConditionTags = 64

// writeCondition is what must hold for the current version when a write becomes visible.
func (c *call) writeCondition() (metadata.Condition, error) {
	cond, err := writeCondition(c.r.Header)
	c.judged.bind(&cond)
	return cond, err
}

// writeCondition reads it from headers. AWS takes only "*" for If-None-Match; ETags work
// here too.
func writeCondition(h http.Header) (metadata.Condition, error) {
	c, err := tagCondition(h, "")
	if err != nil {
		return c, err
	}
	for _, name := range [...]string{"If-Modified-Since", "If-Unmodified-Since"} {
		if len(h[name]) > 0 {
			return c, errNotImplemented.saying("A header you provided implies functionality that is not implemented").with("Header", name)
		}
	}
	return c, nil
}

// tagCondition reads If-Match and If-None-Match, or the headers that have a prefix.
func tagCondition(h http.Header, prefix string) (c metadata.Condition, err error) {
	if c.IfMatch, err = etagsOf(h, prefix+"If-Match"); err == nil {
		c.IfNoneMatch, err = etagsOf(h, prefix+"If-None-Match")
	}
	return c, err
}

// etagsOf reads a header that lists entity tags; nil without it.
func etagsOf(h http.Header, name string) ([]string, error) {
	v := h[name]
	if len(v) == 0 {
		return nil, nil
	}
	return etagList(strings.Join(v, ","), name)
}

// datedCondition is tagCondition with the dates.
func datedCondition(h http.Header, prefix string) (metadata.Condition, error) {
	c, err := tagCondition(h, prefix)
	if err != nil {
		return c, err
	}
	for _, row := range [...]struct {
		name string
		into *time.Time
	}{{prefix + "If-Modified-Since", &c.ModifiedSince}, {prefix + "If-Unmodified-Since", &c.UnmodifiedSince}} {
		v := h.Get(row.name)
		if v == "" {
			continue
		}
		if *row.into, err = http.ParseTime(v); err != nil {
			return c, badArgument(row.name, v, "Invalid time")
		}
	}
	return c, nil
}

// deleteCondition is writeCondition with what S3 has for deletes besides.
func deleteCondition(h http.Header) (metadata.Condition, error) {
	c, err := writeCondition(h)
	if err != nil {
		return c, err
	}
	if v := h.Get("X-Amz-If-Match-Last-Modified-Time"); v != "" {
		if c.Modified, err = http.ParseTime(v); err != nil {
			return c, badArgument("x-amz-if-match-last-modified-time", v, "Invalid time")
		}
	}
	if v := h.Get("X-Amz-If-Match-Size"); v != "" {
		n, ok := digits(v)
		if !ok {
			return c, badArgument("x-amz-if-match-size", v, "Invalid size")
		}
		c.Size = &n
	}
	return c, nil
}

func etagList(list, name string) ([]string, error) {
	var out []string
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if strings.HasSuffix(name, "If-None-Match") {
			one = strings.TrimPrefix(one, "W/") // it is compared weakly (RFC 9110, section 13.1.2)
		}
		if one = unquote(one); one == "" {
			continue
		}
		if len(out) == maxConditionTags {
			return nil, badArgument(name, list, "Too many entity tags")
		}
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, badArgument(name, list, "Invalid entity tag")
	}
	return out, nil
}
