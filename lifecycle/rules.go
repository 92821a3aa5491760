package lifecycle

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ConfigName is the bucket's configuration that has the rules.
const ConfigName = "lifecycle"

// Config is the rules of a bucket.
type Config []Rule

// Rule says what becomes of the versions that its filter matches. Zero fields do nothing.
type Rule struct {
	ID       string `json:"id"`
	Disabled bool   `json:"disabled,omitempty"`
	Filter   Filter `json:"filter"`

	// Days after they were made, or on Date, current versions expire.
	Days int       `json:"days,omitempty"`
	Date time.Time `json:"date,omitzero"`
	// ExpiredMarker: a delete marker goes when no version is left beneath it.
	ExpiredMarker bool `json:"expired_marker,omitempty"`
	// NoncurrentDays after they became noncurrent, versions are removed, but for the
	// newest NewerNoncurrent of them.
	NoncurrentDays  int `json:"noncurrent_days,omitempty"`
	NewerNoncurrent int `json:"newer_noncurrent,omitempty"`
	// AbortDays after they began, uploads are aborted.
	AbortDays int `json:"abort_days,omitempty"`

	// TransitionMinimum is what the client said of all rules together, only to be shown
	// again: there are no transitions.
	TransitionMinimum string `json:"transition_minimum,omitempty"`
}

// Filter is what a version must be; all of what is set must hold.
type Filter struct {
	// Form is how the client wrote it, to be shown again like that.
	Form    Form              `json:"form"`
	Prefix  string            `json:"prefix,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	Greater *int64            `json:"greater,omitempty"` // bytes
	Less    *int64            `json:"less,omitempty"`
}

// Form is a way to write a filter.
type Form string

// The forms that S3 has.
const (
	FormPrefix Form = "prefix" // without a filter
	FormPlain  Form = "filter"
	FormAnd    Form = "and"
)

// Parse reads what Encode wrote.
func Parse(text string) (Config, error) {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("lifecycle configuration: %w", err)
	}
	return c, nil
}

// Encode is how a bucket keeps the rules.
func (c Config) Encode() (string, error) {
	b, err := json.Marshal(c)
	return string(b), err
}

// object is what rules look at of a version.
type object struct {
	key  string
	size int64
	// tags are read when a rule asks for them.
	tags func() (map[string]string, error)
}

// matches says whether a rule is for an object. What costs most is looked at last.
func (f *Filter) matches(o *object) (bool, error) {
	if !strings.HasPrefix(o.key, f.Prefix) || f.Greater != nil && o.size <= *f.Greater || f.Less != nil && o.size >= *f.Less {
		return false, nil
	}
	if len(f.Tags) == 0 {
		return true, nil
	}
	tags, err := o.tags()
	if err != nil {
		return false, err
	}
	for k, want := range f.Tags {
		if v, ok := tags[k]; !ok || v != want {
			return false, nil
		}
	}
	return true, nil
}

// calendar counts days.
type calendar struct {
	day time.Duration // of tests; 0 is a real one
}

// after is the time n days after t.
func (c calendar) after(t time.Time, n int) time.Time {
	if c.day > 0 {
		return t.Add(time.Duration(n) * c.day)
	}
	t = t.UTC().AddDate(0, 0, n)
	if midnight := t.Truncate(24 * time.Hour); !midnight.Equal(t) {
		return midnight.AddDate(0, 0, 1)
	}
	return t
}

// expires is when a rule removes a current version, if it does.
func (r *Rule) expires(modified time.Time, cal calendar) (time.Time, bool) {
	switch {
	case !r.Date.IsZero():
		return r.Date, true
	case r.Days > 0:
		return cal.after(modified, r.Days), true
	}
	return time.Time{}, false
}

// Expires finds the rule that removes a current version first, and when; nil if none does.
func (c Config) Expires(key string, size int64, tags map[string]string, modified time.Time) (first *Rule, at time.Time) {
	o := &object{key: key, size: size, tags: func() (map[string]string, error) { return tags, nil }}
	for i := range c {
		r := &c[i]
		if r.Disabled {
			continue
		}
		when, ok := r.expires(modified, calendar{})
		if !ok || first != nil && !when.Before(at) {
			continue
		}
		if ok, _ := r.Filter.matches(o); ok {
			first, at = r, when
		}
	}
	return first, at
}

// Aborts finds the rule that ends an upload first, and when; nil if none does.
func (c Config) Aborts(key string, initiated time.Time) (first *Rule, at time.Time) {
	return c.aborts(key, initiated, calendar{})
}

func (c Config) aborts(key string, initiated time.Time, cal calendar) (first *Rule, at time.Time) {
	for i := range c {
		r := &c[i]
		if r.Disabled || r.AbortDays == 0 || !strings.HasPrefix(key, r.Filter.Prefix) {
			continue
		}
		if when := cal.after(initiated, r.AbortDays); first == nil || when.Before(at) {
			first, at = r, when
		}
	}
	return first, at
}

// prefix is what all keys begin with that any rule in force is for.
func (c Config) prefix() (common string, any bool) {
	for i := range c {
		p := c[i].Filter.Prefix
		switch {
		case c[i].Disabled:
			continue
		case !any:
			common, any = p, true
			continue
		}
		n := 0
		for n < len(p) && n < len(common) && p[n] == common[n] {
			n++
		}
		common = common[:n]
	}
	return common, any
}
