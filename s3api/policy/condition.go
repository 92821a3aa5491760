package policy

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Context gives the values of a condition key, whose name is in lower case up to the
// first slash: nil when the request has none.
type Context interface {
	Values(key string) []string
}

// condition is one key under one operator.
type condition struct {
	key      string
	op       operator
	each     quantifier
	ifExists bool
	operands []operand
}

type quantifier uint8

const (
	anyValue     quantifier = iota // no quantifier was written
	forAnyValue                    // one of the request's values
	forAllValues                   // every one of them, if any
)

// operator is a comparison of a request's value with one of the policy's.
type operator struct {
	name    string
	negated bool
	compile func(text string, vars bool) (operand, error)
	matches func(have string, want *operand, ctx Context) bool
}

// operand is a value of the policy, read as its operator needs it.
type operand struct {
	pattern pattern
	arn     []pattern
	number  float64
	prefix  netip.Prefix
	bytes   []byte
}

// operators by their names in lower case; Null is apart.
var operators = func() map[string]operator {
	all := map[string]operator{}
	add := func(name, not string, o operator) {
		o.name = name
		all[strings.ToLower(name)] = o
		if not != "" {
			o.name, o.negated = not, true
			all[strings.ToLower(not)] = o
		}
	}
	text := func(wild, fold bool) operator {
		return operator{
			compile: func(s string, vars bool) (o operand, err error) {
				o.pattern, err = compile(s, wild, vars, fold)
				return o, err
			},
			matches: func(have string, want *operand, ctx Context) bool {
				ok, _ := want.pattern.matches(have, ctx)
				return ok
			},
		}
	}
	add("StringEquals", "StringNotEquals", text(false, false))
	add("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", text(false, true))
	add("StringLike", "StringNotLike", text(true, false))
	arn := operator{compile: compileARN, matches: matchARN}
	add("ArnEquals", "ArnNotEquals", arn)
	add("ArnLike", "ArnNotLike", arn)
	for _, c := range []struct {
		name, not string
		holds     func(have, want float64) bool
	}{
		{"Equals", "NotEquals", func(a, b float64) bool { return a == b }},
		{"LessThan", "", func(a, b float64) bool { return a < b }},
		{"LessThanEquals", "", func(a, b float64) bool { return a <= b }},
		{"GreaterThan", "", func(a, b float64) bool { return a > b }},
		{"GreaterThanEquals", "", func(a, b float64) bool { return a >= b }},
	} {
		for prefix, read := range map[string]func(string) (float64, bool){"Numeric": readNumber, "Date": readDate} {
			not := c.not
			if not != "" {
				not = prefix + not
			}
			add(prefix+c.name, not, ordered(read, c.holds))
		}
	}
	add("Bool", "", operator{compile: compileBool, matches: func(have string, want *operand, _ Context) bool {
		return strings.EqualFold(have, want.pattern.text)
	}})
	add("BinaryEquals", "", operator{compile: compileBinary, matches: func(have string, want *operand, _ Context) bool {
		b, err := base64.StdEncoding.DecodeString(have)
		return err == nil && slices.Equal(b, want.bytes)
	}})
	add("IpAddress", "NotIpAddress", operator{compile: compilePrefix, matches: matchPrefix})
	return all
}()

func ordered(read func(string) (float64, bool), holds func(have, want float64) bool) operator {
	return operator{
		compile: func(s string, _ bool) (o operand, err error) {
			var ok bool
			if o.number, ok = read(s); !ok {
				err = malformed("Policy has an invalid condition value: ", s)
			}
			return o, err
		},
		matches: func(have string, want *operand, _ Context) bool {
			n, ok := read(have)
			return ok && holds(n, want.number)
		},
	}
}

func readNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && n == n
}

// readDate reads the W3C profile of ISO 8601 and seconds of the epoch.
func readDate(s string) (float64, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.UnixMilli()) / 1e3, true
		}
	}
	return readNumber(s)
}

func compileBool(s string, _ bool) (operand, error) {
	if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
		return operand{}, malformed("Policy has an invalid condition value: ", s)
	}
	return operand{pattern: pattern{text: s}}, nil
}

func compileBinary(s string, _ bool) (operand, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return operand{}, malformed("Policy has an invalid condition value: ", s)
	}
	return operand{bytes: b}, nil
}

func compilePrefix(s string, _ bool) (o operand, err error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return operand{prefix: netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())}, nil
	}
	if o.prefix, err = netip.ParsePrefix(s); err != nil {
		return o, malformed("Policy has an invalid IP address or range: ", s)
	}
	if a := o.prefix.Addr(); a.Is4In6() && o.prefix.Bits() >= 96 { // as addresses are compared
		o.prefix = netip.PrefixFrom(a.Unmap(), o.prefix.Bits()-96)
	}
	return o, nil
}

func matchPrefix(have string, want *operand, _ Context) bool {
	a, err := netip.ParseAddr(have)
	return err == nil && want.prefix.Contains(a.WithZone("").Unmap())
}

// compileARN compiles each of the six parts apart: a wildcard does not reach over a colon.
func compileARN(s string, vars bool) (operand, error) {
	parts := splitARN(s)
	if parts == nil {
		return operand{}, malformed("Policy has an invalid ARN in a condition: ", s)
	}
	var o operand
	for _, part := range parts {
		p, err := compile(part, true, vars, false)
		if err != nil {
			return o, err
		}
		o.arn = append(o.arn, p)
	}
	return o, nil
}

func matchARN(have string, want *operand, ctx Context) bool {
	parts := splitARN(have)
	if parts == nil {
		return false
	}
	for i, part := range parts {
		if ok, _ := want.arn[i].matches(part, ctx); !ok {
			return false
		}
	}
	return true
}

// splitARN cuts at the first five colons that are outside of variables; "*" is all
// wildcards. nil: not an ARN.
func splitARN(s string) []string {
	if s == "*" {
		return []string{"*", "*", "*", "*", "*", "*"}
	}
	var parts []string
	depth, from := 0, 0
	for i := range len(s) {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0 && len(parts) < 5:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	if parts = append(parts, s[from:]); len(parts) != 6 || !strings.Contains(parts[0], "arn") && !strings.ContainsAny(parts[0], "*?") {
		return nil
	}
	return parts
}

// holds evaluates the condition.
func (c *condition) holds(ctx Context) bool {
	have := ctx.Values(c.key)
	if c.op.name == nullOperator {
		return c.operands[0].pattern.text == "true" == (len(have) == 0)
	}
	if len(have) == 0 {
		return c.ifExists || c.each == forAllValues || c.each == anyValue && c.op.negated
	}
	for _, v := range have {
		hit := slices.ContainsFunc(c.operands, func(o operand) bool { return c.op.matches(v, &o, ctx) })
		switch {
		case c.each == forAllValues || c.each == anyValue && c.op.negated:
			if hit == c.op.negated {
				return false
			}
		case hit != c.op.negated:
			return true
		}
	}
	return c.each == forAllValues || c.each == anyValue && c.op.negated
}

const nullOperator = "Null"

// normalKey is a key in lower case, but for the tag's key after a slash.
func normalKey(key string) string {
	name, tag, ok := strings.Cut(key, "/")
	if !ok {
		return strings.ToLower(key)
	}
	return strings.ToLower(name) + "/" + tag
}

// validKey accepts "aws:SourceIp", "s3:ExistingObjectTag/some key" and, of a provider's
// claims, "host/Path:sub", normalized.
func validKey(key string) bool {
	service, name, ok := strings.Cut(key, ":")
	if !ok || service == "" || name == "" {
		return false
	}
	path := false
	for i := range len(service) {
		c := service[i]
		if path = path || c == '/'; path && c >= 'A' && c <= 'Z' {
			continue
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '/' && c != '_' {
			return false
		}
	}
	return !strings.ContainsAny(name, "\"{}$")
}
