package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/policy"
)

// maxSessionPolicy bounds the policies of a session together, in characters.
const maxSessionPolicy = 2048

// Assume is what is asked for when somebody wants to become a role for a while.
type Assume struct {
	// Action is sts:AssumeRole or sts:AssumeRoleWithWebIdentity.
	Action        string
	Account, Role string
	Name          string        // of the session
	Lasts         time.Duration // 0: the default of roles
	Policy        string        // document that limits the session; "" does not
	Managed       []string      // names of policies of the role's account that limit it
	// Chained: who asks is a role's session itself, and may have an hour only.
	Chained bool
	// Context answers the conditions of trust and policies.
	Context policy.Context
}

// AssumeRole makes a session of a role for who, if its trust policy and the policies of
// who let it. ErrDenied, also for a role that does not exist.
func (g *Registry) AssumeRole(ctx context.Context, who *s3api.Principal, a *Assume) (s *Session, role *Role, err error) {
	if err := a.check(); err != nil {
		return nil, nil, err
	}
	t := token{Account: a.Account, Role: a.Role, Name: a.Name, Key: who.Key}
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) (err error) {
		if role, err = load[Role](r, kindRole, a.Account, a.Role); err != nil {
			return err
		}
		if !a.allowed(who, role) {
			return ErrDenied
		}
		t.RoleID, t.Policy = role.ID, nil
		if a.Policy != "" {
			t.Policy = append(t.Policy, a.Policy)
		}
		for _, name := range a.Managed {
			text, err := managed(r, a.Account, name)
			if err != nil {
				return err
			}
			t.Policy = append(t.Policy, text)
		}
		return nil
	})
	if isNotFound(err) && role == nil {
		err = ErrDenied
	}
	if err != nil {
		return nil, nil, err
	}
	lasts, longest := a.Lasts, role.MaxSession
	if a.Chained {
		longest = time.Hour
	}
	if lasts == 0 {
		lasts = DefaultRoleSession
	}
	if lasts < MinSession || lasts > longest {
		return nil, nil, fmt.Errorf("the requested DurationSeconds exceeds the MaxSessionDuration set for this role, or is less than %d: %w", MinSession/time.Second, ErrInvalid)
	}
	s, err = g.seal(t, lasts)
	return s, role, err
}

func (a *Assume) check() error {
	if err := checkName(a.Name); err != nil || len(a.Name) < 2 {
		return fmt.Errorf("the name of a session has 2 to 64 letters, digits and = , . @ - _: %w", ErrInvalid)
	}
	if a.Policy != "" {
		if err := checkPolicy(a.Policy); err != nil {
			return err
		}
	}
	if len(a.Policy) > maxSessionPolicy || len(a.Managed) > MaxAttached {
		return fmt.Errorf("a session has a policy of at most %d characters and %d managed ones: %w", maxSessionPolicy, MaxAttached, ErrLimit)
	}
	return nil
}

// roleContext adds the tags of a role.
type roleContext struct {
	policy.Context
	tags map[string]string
}

// Values implements policy.Context.
func (c *roleContext) Values(key string) []string {
	tag, ok := ResourceTag(key)
	if !ok {
		return c.Context.Values(key)
	}
	if v, given := c.tags[tag]; given {
		return []string{v}
	}
	return nil
}

// ResourceTag is the tag's key in the name of a condition key about what a request is about.
func ResourceTag(key string) (tag string, ok bool) {
	if tag, ok = strings.CutPrefix(key, "aws:resourcetag/"); !ok {
		tag, ok = strings.CutPrefix(key, "iam:resourcetag/")
	}
	return tag, ok
}

// allowed asks the role's trust policy and the policies of who. That of the role must
// speak for who in any case: to own the role is not enough.
func (a *Assume) allowed(who *s3api.Principal, role *Role) bool {
	trust, err := policy.Parse([]byte(role.Trust), policy.Trust, "")
	if err != nil {
		return false
	}
	r := &policy.Request{Principal: &who.Principal, Action: a.Action, Resource: RoleARN(role.Account, role.Name), Context: &roleContext{a.Context, role.Tags}}
	if trust.Evaluate(r) < policy.AllowAccount {
		return false
	}
	return policy.Decide(r, &policy.Policies{Identity: who.Policies, Session: who.Session, Resource: trust, Owner: role.Account})
}
