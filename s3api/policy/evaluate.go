package policy

// Request is what is asked for.
type Request struct {
	Principal *Principal
	Action    string // "s3:GetObject"
	Resource  string // ARN
	Context   Context
	// Pending says of a condition key that its value is not known yet; nil: of none. A
	// statement that allows holds then whatever such a key has to be, and one that denies
	// does not, so that the answer is whether the request might be allowed.
	Pending func(key string) bool
}

// Effect is the answer of one document.
type Effect uint8

// Effects, each stronger than those before it.
const (
	// None: nothing in the document is about the request.
	None Effect = iota
	// AllowAccount: the principal's account is allowed, which is for the account's own
	// policies to pass on.
	AllowAccount
	// Allow: the principal is allowed.
	Allow
	// Deny: nothing else matters.
	Deny
)

// Evaluate answers for one document; nil has no opinion.
func (d *Document) Evaluate(r *Request) Effect {
	if d == nil {
		return None
	}
	effect := None
	for i := range d.statements {
		if e := d.statements[i].evaluate(r); e > effect {
			if effect = e; e == Deny {
				break
			}
		}
	}
	return effect
}

func (s *statement) evaluate(r *Request) Effect {
	named := directly
	if s.principals != nil {
		named = s.principals.match(r.Principal)
		if s.notPrincipal {
			if named == directly { // an account stands for itself there, not for its users
				return None
			}
			named = directly
		}
	}
	if named == unnamed || s.action(r) == s.notAction || !s.resource(r) {
		return None
	}
	for i := range s.conditions {
		if r.Pending != nil && r.Pending(s.conditions[i].key) {
			if !s.allow {
				return None
			}
			continue
		}
		if !s.conditions[i].holds(r.Context) {
			return None
		}
	}
	switch {
	case !s.allow:
		return Deny
	case named == byAccount:
		return AllowAccount
	}
	return Allow
}

func (s *statement) action(r *Request) bool {
	for i := range s.actions {
		if ok, _ := s.actions[i].matches(r.Action, nil); ok {
			return true
		}
	}
	return false
}

func (s *statement) resource(r *Request) bool {
	if len(s.resources) == 0 {
		return true // a trust policy
	}
	for i := range s.resources {
		ok, known := s.resources[i].matches(r.Resource, r.Context)
		switch {
		case !known && s.notResource:
			return !s.allow
		case ok:
			return !s.notResource
		}
	}
	return s.notResource
}

// Policies are all that apply to a request.
type Policies struct {
	Identity []*Document // of the user and its groups, or of the role
	Session  *Document   // nil: no session, or one without a policy of its own
	Resource *Document   // nil: the bucket has none
	// Foreign: what is asked for is not of the account that wrote Resource, which then can
	// deny and not allow.
	Foreign bool
	// Owner is the account that the resource belongs to.
	Owner string
	// Granted is the answer of an access control list, or of what else is not a policy. It
	// counts like that of the resource's policy, and never denies.
	Granted Effect
}

// Decide reports whether a request is allowed (IAM User Guide, "Policy evaluation
// logic"): no document denies it; within an account one side must allow it, and across
// accounts both; a session's policy must allow it too. The root of an account has an
// implicit allow on its own side.
func Decide(r *Request, p *Policies) bool {
	resource := p.Resource.Evaluate(r)
	if resource == Deny {
		return false
	}
	if p.Foreign {
		resource = None
	}
	resource = max(resource, p.Granted)
	if r.Principal.Account == "" {
		return resource == Allow
	}
	identity := None
	if r.Principal.Root {
		identity = Allow
	}
	for _, d := range p.Identity {
		e := d.Evaluate(r)
		if e == Deny {
			return false
		}
		identity = max(identity, e)
	}
	if p.Session != nil && p.Session.Evaluate(r) != Allow {
		return false
	}
	if r.Principal.Account == p.Owner {
		return identity == Allow || resource == Allow
	}
	return identity == Allow && resource >= AllowAccount
}
