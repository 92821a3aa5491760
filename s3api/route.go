package s3api

import (
	"net/http"
	"strings"
)

// Level says what a request addresses.
type Level uint8

// The levels of S3's resources.
const (
	Service     Level = iota // GET /
	BucketLevel              // /bucket
	ObjectLevel              // /bucket/key
	numLevels
)

// String returns "service", "bucket" or "object".
func (l Level) String() string { return [...]string{"service", "bucket", "object"}[l] }

// Route is a row of the table: an operation and what selects it.
type Route struct {
	Operation string // AWS's name
	Method    string
	Level     Level
	Query     string // parameter that must be there, "name" or "name=value"; "" for none
	Header    string // header that must be there, in MIME form; "" for none
	Success   int    // status of success

	run func(*call) error // nil: not implemented
}

// Implemented reports whether the operation exists here.
func (r *Route) Implemented() bool { return r.run != nil }

// Routes returns the table in the order in which it is searched. The caller owns
// the slice.
func Routes() []Route { return append([]Route(nil), table()...) }

// router finds routes. Rows are split by method and level, those that need a
// query parameter apart, so that a plain request looks at one or two.
type router struct {
	plain, query map[string]*[numLevels][]*Route
	subresources map[string]bool // parameters that make a different operation
}

func newRouter(rows []Route) *router {
	rt := &router{plain: map[string]*[numLevels][]*Route{}, query: map[string]*[numLevels][]*Route{}, subresources: map[string]bool{}}
	for i := range rows {
		r := &rows[i]
		into := rt.plain
		if r.Query != "" {
			into = rt.query
			if name, _, hasValue := strings.Cut(r.Query, "="); !hasValue {
				rt.subresources[name] = true
			}
		}
		if into[r.Method] == nil {
			into[r.Method] = new([numLevels][]*Route)
		}
		into[r.Method][r.Level] = append(into[r.Method][r.Level], r)
	}
	return rt
}

// find returns the row for a request, nil when there is none: that is
// NotImplemented, also when a parameter names a sub-resource which the method or
// the level does not have.
func (rt *router) find(method string, level Level, q *query, h http.Header) *Route {
	if len(q.pairs) > 0 {
		if rows := rt.query[method]; rows != nil {
			for _, r := range rows[level] {
				if r.matches(q, h) {
					return r
				}
			}
		}
		for i := range q.pairs {
			if rt.subresources[q.pairs[i].name] && method != http.MethodOptions { // a preflight's are those of the request to come
				return nil
			}
		}
	}
	if rows := rt.plain[method]; rows != nil {
		for _, r := range rows[level] {
			if r.matches(q, h) {
				return r
			}
		}
	}
	return nil
}

func (r *Route) matches(q *query, h http.Header) bool {
	if r.Query != "" {
		name, want, hasValue := strings.Cut(r.Query, "=")
		got, ok := q.lookup(name)
		if !ok || hasValue && got != want {
			return false
		}
	}
	return r.Header == "" || len(h[r.Header]) > 0
}
