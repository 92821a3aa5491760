package s3api

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// maxPostPolicy bounds a policy's JSON.
const maxPostPolicy = 20 << 10

// postPolicy is the policy of an upload by a form: until when, and what its fields must be.
type postPolicy struct {
	expires    time.Time
	conditions []postCondition
	min, max   int64 // of the file's size; max is -1 without a limit
}

// postCondition is about one field, by its name in lower case.
type postCondition struct {
	field, value string
	prefix       bool
}

var errPolicyDocument = &Error{Code: "InvalidPolicyDocument", Status: 400, Message: "The content of the form does not meet the conditions specified in the policy document."}

func badPolicy(why string) error { return errPolicyDocument.saying("Invalid Policy: " + why) }

func decodePostPolicy(encoded string) (*postPolicy, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("Invalid Base64.")
	}
	if len(data) > maxPostPolicy {
		return nil, badPolicy("too long.")
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	var expires string
	if raw, ok := doc["expiration"]; !ok || json.Unmarshal(raw, &expires) != nil {
		return nil, badPolicy("Policy missing expiration.")
	}
	p := &postPolicy{max: -1}
	if p.expires, err = time.Parse(time.RFC3339Nano, expires); err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '" + clip(expires) + "'")
	}
	var list []json.RawMessage
	if raw, ok := doc["conditions"]; !ok || json.Unmarshal(raw, &list) != nil {
		return nil, badPolicy("Policy missing conditions.")
	}
	for _, raw := range list {
		if err := p.condition(raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// condition reads {"field": "value"}, ["eq"|"starts-with", "$field", "value"] or
// ["content-length-range", min, max].
func (p *postPolicy) condition(raw json.RawMessage) error {
	var exact map[string]string
	if json.Unmarshal(raw, &exact) == nil {
		if len(exact) != 1 {
			return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for name, value := range exact {
			p.conditions = append(p.conditions, postCondition{field: strings.ToLower(name), value: value})
		}
		return nil
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil || len(list) != 3 {
		return badPolicy("Invalid condition.")
	}
	operator, _ := list[0].(string)
	if strings.EqualFold(operator, "content-length-range") {
		low, ok1 := wholeNumber(list[1])
		high, ok2 := wholeNumber(list[2])
		if !ok1 || !ok2 || low > high {
			return badPolicy("Invalid content-length-range.")
		}
		if p.min = max(p.min, low); p.max < 0 || high < p.max {
			p.max = high
		}
		return nil
	}
	field, ok1 := list[1].(string)
	value, ok2 := list[2].(string)
	prefix := strings.EqualFold(operator, "starts-with")
	if !ok1 || !ok2 || !prefix && !strings.EqualFold(operator, "eq") || !strings.HasPrefix(field, "$") {
		return badPolicy("Invalid condition.")
	}
	p.conditions = append(p.conditions, postCondition{strings.ToLower(field[1:]), value, prefix})
	return nil
}

// wholeNumber takes what JSON has for a number of bytes, also in quotes, as AWS does.
func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v >= 0 && v <= 1<<53 && v == float64(int64(v))
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

// signatureFields belong to the signature, or are not what the policy is about.
var signatureFields = map[string]bool{
	"policy": true, "file": true, "signature": true, "awsaccesskeyid": true,
	"x-amz-signature": true, "x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-security-token": true,
}

// check compares the policy with a form. Each field must be in a condition.
func (p *postPolicy) check(fields map[string]string, now time.Time) error {
	refuse := func(why string) error { return errAccessDenied.saying("Invalid according to Policy: " + why) }
	if !now.Before(p.expires) {
		return refuse("Policy expired.")
	}
	covered := map[string]bool{}
	for _, c := range p.conditions {
		covered[c.field] = true
		v := fields[c.field]
		if c.prefix && !strings.HasPrefix(v, c.value) || !c.prefix && v != c.value {
			return refuse("Policy Condition failed: [\"" + c.words() + "\", \"$" + clip(c.field) + "\", \"" + clip(c.value) + "\"]")
		}
	}
	for name := range fields {
		// A checksum can only refuse what the policy allows.
		free := signatureFields[name] || strings.HasPrefix(name, "x-ignore-") || strings.HasPrefix(name, "x-amz-checksum-")
		if !covered[name] && !free {
			return refuse("Extra input fields: " + clip(name))
		}
	}
	return nil
}

func (c *postCondition) words() string {
	if c.prefix {
		return "starts-with"
	}
	return "eq"
}

// checkSize compares the size of the file with content-length-range.
func (p *postPolicy) checkSize(n int64) error {
	switch {
	case n < p.min:
		return errEntityTooSmall.with("ProposedSize", itoa64(n)).with("MinSizeAllowed", itoa64(p.min))
	case p.max >= 0 && n > p.max:
		return errEntityTooLarge.with("ProposedSize", itoa64(n)).with("MaxSizeAllowed", itoa64(p.max))
	}
	return nil
}
