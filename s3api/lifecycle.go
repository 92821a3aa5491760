package s3api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/lifecycle"
	"github.com/weftstore/weft/metadata"
)

const configLifecycle = lifecycle.ConfigName

const (
	maxLifecycleRules = 1000 // S3's limit
	maxRuleID         = 255
	maxNewer          = 100 // of NewerNoncurrentVersions
)

// decodeLifecycle reads a LifecycleConfiguration, or the older form of it.
func decodeLifecycle(data []byte) (lifecycle.Config, error) {
	root, err := parseXML(data, "LifecycleConfiguration", 1<<16)
	if err != nil {
		return nil, err
	}
	if len(root.children) == 0 || len(root.children) > maxLifecycleRules {
		return nil, errMalformedXML
	}
	rules := make(lifecycle.Config, len(root.children))
	ids := map[string]bool{}
	for i := range root.children {
		if root.children[i].name != "Rule" {
			return nil, errMalformedXML
		}
		r := &rules[i]
		if err := decodeRule(&root.children[i], r); err != nil {
			return nil, err
		}
		if r.ID == "" {
			r.ID = fmt.Sprintf("rule-%d", i+1)
		}
		if ids[r.ID] {
			return nil, errInvalidArgument.saying("Rule ID must be unique. Found same ID for more than one rule")
		}
		ids[r.ID] = true
	}
	return rules, nil
}

func decodeRule(e *element, r *lifecycle.Rule) error {
	r.ID = e.value("ID")
	if len(r.ID) > maxRuleID {
		return errInvalidArgument.saying("ID length should not exceed allowed limit of 255")
	}
	switch e.value("Status") {
	case "Enabled":
	case "Disabled":
		r.Disabled = true
	default:
		return errMalformedXML
	}
	if err := decodeFilter(e, &r.Filter); err != nil {
		return err
	}
	for i := range e.children {
		a := &e.children[i]
		var err error
		switch a.name {
		case "Expiration":
			err = decodeExpiration(a, r)
		case "NoncurrentVersionExpiration":
			err = decodeNoncurrent(a, r)
		case "AbortIncompleteMultipartUpload":
			r.AbortDays, err = days(a, "DaysAfterInitiation", a.name)
			if len(r.Filter.Tags) > 0 {
				err = errInvalidRequest.saying("AbortIncompleteMultipartUpload cannot be specified with Tags.")
			}
		case "Transition", "NoncurrentVersionTransition":
			err = declineTransition(a)
		}
		if err != nil {
			return err
		}
	}
	if r.Days == 0 && r.Date.IsZero() && !r.ExpiredMarker && r.NoncurrentDays == 0 && r.AbortDays == 0 {
		return errInvalidRequest.saying("At least one action needs to be specified in a rule")
	}
	return nil
}

// decodeFilter reads the filter of a rule. Several criteria must all hold, whether or not
// they are within And.
func decodeFilter(rule *element, f *lifecycle.Filter) error {
	e, prefix := rule.child("Filter"), rule.child("Prefix")
	if (e == nil) == (prefix == nil) {
		return errMalformedXML
	}
	if e == nil {
		f.Form, f.Prefix = lifecycle.FormPrefix, prefix.text
		return nil
	}
	if strings.TrimSpace(e.text) != "" {
		return errMalformedXML
	}
	f.Form = lifecycle.FormPlain
	f.Tags = map[string]string{}
	if and := e.child("And"); and != nil {
		f.Form = lifecycle.FormAnd
		if err := decodeCriteria(and, f); err != nil {
			return err
		}
	}
	return decodeCriteria(e, f)
}

func decodeCriteria(e *element, f *lifecycle.Filter) error {
	for i := range e.children {
		c := &e.children[i]
		switch c.name {
		case "Prefix":
			if f.Prefix != "" {
				return errMalformedXML
			}
			f.Prefix = c.text
		case "Tag":
			key, value := c.child("Key"), c.child("Value")
			if key == nil || value == nil {
				return errMalformedXML
			}
			if err := addTag(f.Tags, key.text, value.text, maxObjectTags); err != nil {
				return err
			}
		case "ObjectSizeGreaterThan", "ObjectSizeLessThan":
			n, ok := digits(c.text)
			if !ok {
				return errMalformedXML
			}
			if c.name == "ObjectSizeLessThan" {
				f.Less = &n
			} else {
				f.Greater = &n
			}
		default:
			// A rule without what narrows it removes more.
			if c.name != "And" || e.name == "And" {
				return errMalformedXML
			}
		}
	}
	if f.Less != nil && f.Greater != nil && *f.Less <= *f.Greater {
		return errInvalidRequest.saying("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

// days reads a positive number of days, which must be there.
func days(e *element, name, action string) (int, error) {
	n, err := strconv.ParseInt(e.value(name), 10, 32)
	if err != nil {
		return 0, errMalformedXML
	}
	if n < 1 {
		return 0, errInvalidArgument.saying("'" + name + "' for " + action + " action must be a positive integer")
	}
	return int(n), nil
}

func decodeExpiration(e *element, r *lifecycle.Rule) (err error) {
	if len(e.children) != 1 {
		return errMalformedXML
	}
	switch e.children[0].name {
	case "Days":
		r.Days, err = days(e, "Days", "Expiration")
	case "Date":
		r.Date, err = ruleDate(e.value("Date"))
	case "ExpiredObjectDeleteMarker":
		if r.ExpiredMarker, err = strconv.ParseBool(e.value("ExpiredObjectDeleteMarker")); err != nil {
			return errMalformedXML
		}
		if len(r.Filter.Tags) > 0 {
			return errInvalidRequest.saying("ExpiredObjectDeleteMarker cannot be specified with Tags.")
		}
	default:
		return errMalformedXML
	}
	return err
}

func ruleDate(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, errMalformedXML
	}
	if t = t.UTC(); !t.Equal(t.Truncate(24 * time.Hour)) {
		return t, errInvalidArgument.saying("'Date' must be at midnight GMT")
	}
	return t, nil
}

func decodeNoncurrent(e *element, r *lifecycle.Rule) (err error) {
	if r.NoncurrentDays, err = days(e, "NoncurrentDays", e.name); err != nil {
		return err
	}
	newer := e.child("NewerNoncurrentVersions")
	switch {
	case newer == nil && len(e.children) > 1:
		return errMalformedXML // it may say what to keep
	case newer == nil:
		return nil
	}
	n, err := strconv.ParseInt(e.value("NewerNoncurrentVersions"), 10, 32)
	if err != nil {
		return errMalformedXML
	}
	if n < 1 || n > maxNewer {
		return errInvalidArgument.saying("'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100")
	}
	r.NewerNoncurrent = int(n)
	return nil
}

// declineTransition: there is one storage class.
func declineTransition(e *element) error {
	if d := e.child("Date"); d != nil {
		if _, err := ruleDate(e.value("Date")); err != nil {
			return err
		}
	}
	return errNotImplemented.saying("Transitions to other storage classes are not implemented: STANDARD is the only one.")
}

func lifecycleDocument(rules lifecycle.Config) *doc {
	d := newDoc("LifecycleConfiguration", 256+512*len(rules))
	for i := range rules {
		r := &rules[i]
		d.open("Rule")
		if r.AbortDays > 0 {
			d.open("AbortIncompleteMultipartUpload")
			d.int("DaysAfterInitiation", int64(r.AbortDays))
			d.close("AbortIncompleteMultipartUpload")
		}
		if r.Days > 0 || !r.Date.IsZero() || r.ExpiredMarker {
			d.open("Expiration")
			switch {
			case r.Days > 0:
				d.int("Days", int64(r.Days))
			case r.ExpiredMarker:
				d.bool("ExpiredObjectDeleteMarker", true)
			default:
				d.time("Date", r.Date)
			}
			d.close("Expiration")
		}
		d.filter(&r.Filter)
		d.str("ID", r.ID)
		if r.NoncurrentDays > 0 {
			d.open("NoncurrentVersionExpiration")
			d.int("NoncurrentDays", int64(r.NoncurrentDays))
			if r.NewerNoncurrent > 0 {
				d.int("NewerNoncurrentVersions", int64(r.NewerNoncurrent))
			}
			d.close("NoncurrentVersionExpiration")
		}
		if r.Disabled {
			d.str("Status", "Disabled")
		} else {
			d.str("Status", "Enabled")
		}
		d.close("Rule")
	}
	d.close("LifecycleConfiguration")
	return d
}

// filter writes a filter as the client wrote it.
func (d *doc) filter(f *lifecycle.Filter) {
	if f.Form == lifecycle.FormPrefix {
		d.str("Prefix", f.Prefix)
		return
	}
	d.open("Filter")
	if f.Form == lifecycle.FormAnd {
		d.open("And")
	}
	if f.Prefix != "" || len(f.Tags) == 0 && f.Greater == nil && f.Less == nil {
		d.str("Prefix", f.Prefix)
	}
	keys := make([]string, 0, len(f.Tags))
	for k := range f.Tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		d.open("Tag")
		d.str("Key", k)
		d.str("Value", f.Tags[k])
		d.close("Tag")
	}
	if f.Greater != nil {
		d.int("ObjectSizeGreaterThan", *f.Greater)
	}
	if f.Less != nil {
		d.int("ObjectSizeLessThan", *f.Less)
	}
	if f.Form == lifecycle.FormAnd {
		d.close("And")
	}
	d.close("Filter")
}

// setExpiration tells when a rule will remove the current version.
func (c *call) setExpiration(size int64, tags map[string]string, modified time.Time) {
	if len(c.state.lifecycle) == 0 {
		return
	}
	if r, at := c.state.lifecycle.Expires(c.key, size, tags, modified); r != nil {
		c.set("X-Amz-Expiration", `expiry-date="`+httpTime(at)+`", rule-id="`+url.QueryEscape(r.ID)+`"`)
	}
}

// setAbort tells when a rule will end an upload.
func (c *call) setAbort(u *metadata.Upload) {
	if r, at := c.state.lifecycle.Aborts(c.key, u.Initiated); r != nil {
		c.set("X-Amz-Abort-Date", httpTime(at))
		c.set("X-Amz-Abort-Rule-Id", r.ID)
	}
}
