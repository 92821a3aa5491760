package policy

import (
	"strings"
	"unicode"
)

// Kind says what a document is for, and so what it must and must not have.
type Kind uint8

// Kinds of documents.
const (
	Identity Kind = iota // of a user, group, role or session: no principal
	Bucket               // of a bucket: principals, and resources in that bucket
	Trust                // of a role: principals, and no resources
)

const (
	// MaxBucketPolicy is S3's limit, in bytes.
	MaxBucketPolicy = 20 << 10
	// MaxPolicy is IAM's limit of a managed policy, in characters without white space.
	MaxPolicy = 6144
	// maxDocument bounds what is looked at, white space included.
	maxDocument = 4 * MaxPolicy
)

// Error says what is wrong with a document, in AWS's words where it has some.
type Error struct{ Message string }

func (e *Error) Error() string { return "malformed policy: " + e.Message }

func malformed(parts ...string) *Error {
	s := strings.ToValidUTF8(strings.Join(parts, ""), "?")
	return &Error{s[:min(len(s), 256)]}
}

// Document is a policy.
type Document struct {
	kind       Kind
	statements []statement
}

type statement struct {
	allow                                bool
	principals                           *principals // nil: none named
	actions, resources                   []pattern
	notPrincipal, notAction, notResource bool
	conditions                           []condition
}

// Parse reads a document. bucket is the name of the bucket for a bucket policy, and ""
// for others. The error is an [*Error].
func Parse(data []byte, kind Kind, bucket string) (*Document, error) {
	if kind == Bucket && len(data) > MaxBucketPolicy || len(data) > maxDocument {
		return nil, malformed("Policy is larger than allowed")
	}
	if kind != Bucket && countVisible(data) > MaxPolicy {
		return nil, malformed("Policy is larger than the 6144 characters that are allowed")
	}
	root, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	d := &Document{kind: kind}
	vars := false
	var list []value
	for i := range root.members {
		m := &root.members[i]
		switch m.name {
		case "Version":
			if m.value.text != "2012-10-17" && m.value.text != "2008-10-17" || m.value.kind != '"' {
				return nil, malformed("The policy must contain a valid version string")
			}
			vars = m.value.text == "2012-10-17"
		case "Id":
			if m.value.kind != '"' {
				return nil, malformed("Policy has an invalid Id")
			}
		case "Statement":
			if list = m.value.list; m.value.kind == '{' {
				list = []value{m.value}
			}
		default:
			return nil, malformed("Policy has an unknown element: ", m.name)
		}
	}
	if len(list) == 0 {
		return nil, malformed("Missing required field Statement")
	}
	for i := range list {
		s, err := parseStatement(&list[i], kind, vars, bucket)
		if err != nil {
			return nil, err
		}
		d.statements = append(d.statements, s)
	}
	return d, nil
}

// Size is what IAM counts of a document: its characters without white space.
func Size(document string) int { return countVisible([]byte(document)) }

// Union is a document that allows what one of the documents allows and denies what one
// denies; nil for none.
func Union(docs ...*Document) *Document {
	if len(docs) == 0 {
		return nil
	}
	d := &Document{kind: docs[0].kind}
	for _, part := range docs {
		d.statements = append(d.statements, part.statements...)
	}
	return d
}

func countVisible(data []byte) int {
	n := 0
	for _, r := range string(data) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func parseStatement(v *value, kind Kind, vars bool, bucket string) (s statement, err error) {
	if v.kind != '{' {
		return s, malformed("Policy has an invalid statement")
	}
	seen := map[string]bool{}
	for i := range v.members {
		m := &v.members[i]
		element := strings.TrimPrefix(m.name, "Not")
		if seen[element] {
			return s, malformed("Policy statement must not have both ", element, " and Not", element)
		}
		seen[element] = true
		switch m.name {
		case "Sid":
			if m.value.kind != '"' {
				return s, malformed("Policy has an invalid Sid")
			}
			seen["Sid"] = true
		case "Effect":
			if s.allow = m.value.text == "Allow"; !s.allow && m.value.text != "Deny" || m.value.kind != '"' {
				return s, malformed("Invalid effect: ", m.value.text)
			}
		case "Principal", "NotPrincipal":
			s.notPrincipal = m.name[0] == 'N'
			s.principals, err = parsePrincipals(&m.value)
		case "Action", "NotAction":
			s.notAction = m.name[0] == 'N'
			s.actions, err = parseActions(&m.value, kind)
		case "Resource", "NotResource":
			s.notResource = m.name[0] == 'N'
			s.resources, err = parseResources(&m.value, kind, vars, bucket)
		case "Condition":
			s.conditions, err = parseConditions(&m.value, vars)
		default:
			return s, malformed("Policy has an unknown element: ", m.name)
		}
		if err != nil {
			return s, err
		}
	}
	return s, s.complete(seen, kind)
}

// complete checks what must be there and what must not.
func (s *statement) complete(seen map[string]bool, kind Kind) error {
	switch {
	case !seen["Effect"]:
		return malformed("Missing required field Effect")
	case !seen["Action"]:
		return malformed("Missing required field Action")
	case !seen["Resource"] && kind != Trust:
		return malformed("Missing required field Resource")
	case seen["Resource"] && kind == Trust:
		return malformed("Has prohibited field Resource")
	case !seen["Principal"] && kind != Identity:
		return malformed("Missing required field Principal")
	case seen["Principal"] && kind == Identity:
		return malformed("Policy document should not specify a principal.")
	case s.notPrincipal && s.allow:
		return malformed("Allow with NotPrincipal is not allowed")
	}
	return nil
}

func parseActions(v *value, kind Kind) ([]pattern, error) {
	list, ok := v.texts(false)
	if !ok || len(list) == 0 {
		return nil, malformed("Policy has invalid action")
	}
	out := make([]pattern, 0, len(list))
	for _, s := range list {
		service, name, ok := strings.Cut(s, ":")
		if s != "*" && (!ok || service == "" || name == "" || strings.ContainsAny(service, "*?")) {
			return nil, malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
		p, err := compile(s, true, false, true)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == Bucket && s != "*" && !knownAction(&p):
			return nil, malformed("Policy has invalid action")
		case kind == Trust && !strings.EqualFold(service, "sts"):
			return nil, malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
		out = append(out, p)
	}
	return out, nil
}

func knownAction(p *pattern) bool {
	for _, a := range s3Actions {
		if ok, _ := p.matches("s3:"+a, nil); ok {
			return true
		}
	}
	return false
}

const s3ARN = "arn:aws:s3:::"

func parseResources(v *value, kind Kind, vars bool, bucket string) ([]pattern, error) {
	list, ok := v.texts(false)
	if !ok || len(list) == 0 {
		return nil, malformed("Policy has invalid resource")
	}
	out := make([]pattern, 0, len(list))
	for _, s := range list {
		if s != "*" && splitARN(s) == nil {
			return nil, malformed("Resource ", s, " must be in ARN format or \"*\".")
		}
		p, err := compile(s, true, vars, false)
		if err != nil {
			return nil, err
		}
		if kind == Bucket && !p.within(bucket) {
			return nil, malformed("Policy has invalid resource")
		}
		out = append(out, p)
	}
	return out, nil
}

// within reports whether the pattern can match the bucket or something in it.
func (p *pattern) within(bucket string) bool {
	if ok, known := p.matches(s3ARN+bucket, noContext{}); ok && known {
		return true
	}
	lit, ok := strings.CutPrefix(p.literal(), s3ARN)
	if ok && strings.HasPrefix(lit, bucket+"/") {
		return true
	}
	return p.text == "*" || ok && !p.fixed() && strings.HasPrefix(bucket+"/", lit)
}

type noContext struct{}

func (noContext) Values(string) []string { return nil }

func parseConditions(v *value, vars bool) ([]condition, error) {
	if v.kind != '{' {
		return nil, malformed("Policy has an invalid condition")
	}
	var out []condition
	for i := range v.members {
		m := &v.members[i]
		like, err := parseOperator(m.name)
		if err != nil {
			return nil, err
		}
		if m.value.kind != '{' {
			return nil, malformed("Policy has an invalid condition")
		}
		seen := map[string]bool{}
		for j := range m.value.members {
			c := like
			if err := c.parse(&m.value.members[j], vars); err != nil {
				return nil, err
			}
			if seen[c.key] {
				return nil, malformed("Policy has a duplicate condition key: ", c.key)
			}
			seen[c.key] = true
			out = append(out, c)
		}
	}
	return out, nil
}

// parseOperator reads a name such as "ForAnyValue:StringLikeIfExists".
func parseOperator(name string) (condition, error) {
	var c condition
	rest := strings.ToLower(name)
	if s, ok := strings.CutPrefix(rest, "foranyvalue:"); ok {
		rest, c.each = s, forAnyValue
	} else if s, ok := strings.CutPrefix(rest, "forallvalues:"); ok {
		rest, c.each = s, forAllValues
	}
	if s, ok := strings.CutSuffix(rest, "ifexists"); ok {
		rest, c.ifExists = s, true
	}
	if rest == "null" && !c.ifExists && c.each == anyValue {
		c.op = operator{name: nullOperator, compile: compileBool}
		return c, nil
	}
	var ok bool
	if c.op, ok = operators[rest]; !ok {
		return c, malformed("Invalid Condition type : ", name)
	}
	return c, nil
}

const kmsKey = "s3:x-amz-server-side-encryption-aws-kms-key-id"

// KeyName takes the name out of an ARN or an alias of a key of SSE-KMS. Keys have no other
// names, so policies compare these.
func KeyName(id string) string {
	if strings.HasPrefix(id, "arn:") {
		if parts := splitARN(id); parts != nil {
			id = parts[5]
		} else {
			id = id[strings.LastIndexByte(id, ':')+1:]
		}
		id = strings.TrimPrefix(id, "key/")
	}
	return strings.TrimPrefix(id, "alias/")
}

func (c *condition) parse(m *member, vars bool) error {
	if c.key = normalKey(m.name); !validKey(c.key) {
		return malformed("Policy has an invalid condition key: ", m.name)
	}
	list, ok := m.value.texts(true)
	if !ok || len(list) == 0 || c.op.name == nullOperator && len(list) != 1 {
		return malformed("Policy has an invalid condition value for ", m.name)
	}
	if c.key == kmsKey && strings.HasPrefix(c.op.name, "Arn") { // only names are compared
		name := "stringlike"
		if c.op.negated {
			name = "stringnotlike"
		}
		c.op = operators[name]
	}
	for _, s := range list {
		if c.key == kmsKey {
			s = KeyName(s)
		}
		o, err := c.op.compile(s, vars)
		if err != nil {
			return err
		}
		if c.op.name == nullOperator {
			o.pattern.text = strings.ToLower(o.pattern.text)
		}
		c.operands = append(c.operands, o)
	}
	return nil
}
