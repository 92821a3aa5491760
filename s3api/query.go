package s3api

import (
	"net/url"
	"strings"
)

// maxQuery bounds the number of query parameters that are looked at; sigv4
// refuses more before.
const maxQuery = 256

// query is a parsed query string. The zero value has no parameters. Most
// requests have none and pay nothing; those that have some are few enough that a
// search beats a map.
type query struct {
	pairs []pair
}

type pair struct{ name, value string }

// parseQuery decodes a raw query; a broken escape is InvalidURI.
func parseQuery(raw string) (query, error) {
	if raw == "" {
		return query{}, nil
	}
	q := query{pairs: make([]pair, 0, min(strings.Count(raw, "&")+1, maxQuery))}
	for raw != "" {
		var one string
		one, raw, _ = strings.Cut(raw, "&")
		if one == "" {
			continue
		}
		if len(q.pairs) == maxQuery {
			return query{}, errInvalidURI
		}
		name, value, _ := strings.Cut(one, "=")
		var err error
		if name, err = url.QueryUnescape(name); err != nil {
			return query{}, errInvalidURI
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return query{}, errInvalidURI
		}
		q.pairs = append(q.pairs, pair{name, value})
	}
	return q, nil
}

// lookup returns the first value of a parameter and whether it is there.
func (q *query) lookup(name string) (string, bool) {
	for i := range q.pairs {
		if q.pairs[i].name == name {
			return q.pairs[i].value, true
		}
	}
	return "", false
}

func (q *query) get(name string) string {
	v, _ := q.lookup(name)
	return v
}
