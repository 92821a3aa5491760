package s3api

import (
	"net/http"
	"slices"
	"strings"
)

const configCORS = "cors"

// maxCORSRules is S3's limit.
const maxCORSRules = 100

// corsRule is one CORSRule. A pattern has one asterisk at most.
type corsRule struct {
	id                                string
	origins, methods, headers, expose []string
	maxAge                            string // seconds; "" for none
}

// corsFields are the lists of a rule in the order in which S3 shows them.
func (r *corsRule) fields() []struct {
	name string
	list *[]string
} {
	return []struct {
		name string
		list *[]string
	}{
		{"AllowedHeader", &r.headers}, {"AllowedMethod", &r.methods}, {"AllowedOrigin", &r.origins}, {"ExposeHeader", &r.expose},
	}
}

var corsMethods = []string{http.MethodGet, http.MethodPut, http.MethodHead, http.MethodPost, http.MethodDelete}

func decodeCORS(data []byte) ([]corsRule, error) {
	root, err := parseXML(data, "CORSConfiguration", 1<<14)
	if err != nil {
		return nil, err
	}
	if len(root.children) == 0 || len(root.children) > maxCORSRules {
		return nil, errMalformedXML
	}
	rules := make([]corsRule, len(root.children))
	for i := range root.children {
		if root.children[i].name != "CORSRule" {
			return nil, errMalformedXML
		}
		if err := rules[i].decode(&root.children[i]); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func (r *corsRule) decode(e *element) error {
	r.id, r.maxAge = e.value("ID"), e.value("MaxAgeSeconds")
	if _, ok := digits(r.maxAge); !ok && r.maxAge != "" || len(r.id) > 255 {
		return errMalformedXML
	}
	for _, f := range r.fields() {
		for i := range e.children {
			if e.children[i].name == f.name {
				*f.list = append(*f.list, strings.TrimSpace(e.children[i].text))
			}
		}
	}
	if len(r.origins) == 0 || len(r.methods) == 0 {
		return errMalformedXML
	}
	for _, m := range r.methods {
		if !slices.Contains(corsMethods, m) {
			return errInvalidRequest.saying("Found unsupported HTTP method in CORS config. Unsupported method is " + clip(m))
		}
	}
	for _, list := range [][]string{r.origins, r.headers} {
		for _, p := range list {
			if strings.Count(p, "*") > 1 {
				return errInvalidRequest.saying("\"" + clip(p) + "\" can not have more than one wildcard.")
			}
		}
	}
	for _, p := range r.expose {
		if strings.Contains(p, "*") {
			return errInvalidRequest.saying("ExposeHeader \"" + clip(p) + "\" contains wildcard. We currently do not support wildcard for ExposeHeader.")
		}
	}
	return nil
}

func corsDocument(rules []corsRule) *doc {
	d := newDoc("CORSConfiguration", 1024)
	for i := range rules {
		r := &rules[i]
		d.open("CORSRule")
		d.opt("ID", r.id)
		for _, f := range r.fields() {
			for _, v := range *f.list {
				d.str(f.name, v)
			}
		}
		d.opt("MaxAgeSeconds", r.maxAge)
		d.close("CORSRule")
	}
	d.close("CORSConfiguration")
	return d
}

// wild matches a pattern with one asterisk at most.
func wild(pattern, s string) bool {
	before, after, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// allows reports whether the rule is for a request, and by which of its origins.
func (r *corsRule) allows(origin, method string, headers []string) (pattern string, ok bool) {
	i := slices.IndexFunc(r.origins, func(p string) bool { return wild(p, origin) })
	if i < 0 || !slices.Contains(r.methods, method) {
		return "", false
	}
	for _, h := range headers {
		if !slices.ContainsFunc(r.headers, func(p string) bool { return wild(strings.ToLower(p), h) }) {
			return "", false
		}
	}
	return r.origins[i], true
}

// cors puts the headers that let a browser's script see the answer. preflight says that
// the request asks just for them. It reports whether a rule allows the request.
func (c *call) cors(rules []corsRule, preflight bool) bool {
	h := c.r.Header
	method := h.Get("Access-Control-Request-Method")
	if method == "" {
		method = c.r.Method
	}
	var headers []string
	if preflight {
		for name := range strings.SplitSeq(h.Get("Access-Control-Request-Headers"), ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				headers = append(headers, name)
			}
		}
	}
	origin := h.Get("Origin")
	for i := range rules {
		r := &rules[i]
		pattern, ok := r.allows(origin, method, headers)
		if !ok {
			continue
		}
		if pattern == "*" {
			c.set("Access-Control-Allow-Origin", "*")
		} else {
			c.set("Access-Control-Allow-Origin", origin)
			c.set("Access-Control-Allow-Credentials", "true")
		}
		c.set("Access-Control-Allow-Methods", strings.Join(r.methods, ", "))
		if len(headers) > 0 {
			c.set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
		}
		if len(r.expose) > 0 {
			c.set("Access-Control-Expose-Headers", strings.Join(r.expose, ", "))
		}
		if preflight && r.maxAge != "" {
			c.set("Access-Control-Max-Age", r.maxAge)
		}
		c.set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
		return true
	}
	return false
}

// share puts those headers on the answer to any request, errors of authentication too.
func (c *call) share() {
	if len(c.r.Header["Origin"]) == 0 || c.r.Method == http.MethodOptions || !plausibleBucketName(c.bucket) {
		return
	}
	if b, err := c.h.buckets.get(c.ctx, c.h.cfg.Buckets, c.bucket, c.h.cfg.Now()); err == nil {
		c.cors(b.cors, false)
	}
}
