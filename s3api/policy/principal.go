package policy

import "strings"

// Principal is who asks.
type Principal struct {
	// Account is its id; "" for an anonymous request.
	Account string
	// ARNs that name it: of a user one, of a role's session its own and the role's.
	ARNs []string
	// Canonical is the canonical user id of the account.
	Canonical string
	// Federated is the identity provider that vouches for it, for trust policies.
	Federated string
	// Service is the service that acts for itself, such as logging.s3.amazonaws.com; it
	// has no account then.
	Service string
	// Root: it is the account itself.
	Root bool
}

// principals are those that a statement names.
type principals struct {
	everybody bool
	accounts  []string
	arns      []string
	canonical []string
	federated []string
	services  []string
}

// match tells how p is named.
type match uint8

const (
	unnamed match = iota
	byAccount
	directly
)

func (ps *principals) match(p *Principal) match {
	if ps.everybody {
		return directly
	}
	if p.Account != "" {
		for _, have := range p.ARNs {
			if contains(ps.arns, have) {
				return directly
			}
		}
		if contains(ps.accounts, p.Account) || p.Canonical != "" && contains(ps.canonical, p.Canonical) {
			if p.Root {
				return directly
			}
			return byAccount
		}
	}
	if p.Service != "" && contains(ps.services, p.Service) {
		return directly
	}
	if p.Federated != "" && contains(ps.federated, p.Federated) {
		return directly
	}
	return unnamed
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// IsAccount reports whether s is the id of an account: 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

var errPrincipal = malformed("Invalid principal in policy")

func parsePrincipals(v *value) (*principals, error) {
	ps := &principals{}
	if v.kind == '"' {
		if v.text != "*" {
			return nil, errPrincipal
		}
		ps.everybody = true
		return ps, nil
	}
	if v.kind != '{' || len(v.members) == 0 {
		return nil, errPrincipal
	}
	for i := range v.members {
		m := &v.members[i]
		list, ok := m.value.texts(false)
		if !ok || len(list) == 0 {
			return nil, errPrincipal
		}
		for _, s := range list {
			if err := ps.add(m.name, s); err != nil {
				return nil, err
			}
		}
	}
	return ps, nil
}

func (ps *principals) add(kind, s string) error {
	switch {
	case kind == "AWS" && s == "*":
		ps.everybody = true
	case kind == "AWS" && IsAccount(s):
		ps.accounts = append(ps.accounts, s)
	case kind == "AWS":
		parts := splitARN(s)
		if parts == nil || parts[0] != "arn" || parts[2] != "iam" && parts[2] != "sts" || !IsAccount(parts[4]) || strings.ContainsAny(s, "*?") {
			return errPrincipal
		}
		if parts[2] == "iam" && parts[5] == "root" {
			ps.accounts = append(ps.accounts, parts[4])
			return nil
		}
		ps.arns = append(ps.arns, s)
	case kind == "CanonicalUser" && s != "":
		ps.canonical = append(ps.canonical, s)
	case kind == "Federated" && s != "":
		ps.federated = append(ps.federated, s)
	case kind == "Service" && s != "":
		ps.services = append(ps.services, s)
	default:
		return errPrincipal
	}
	return nil
}
