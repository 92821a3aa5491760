package iamapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/s3api/policy"
)

// tagged is what can have tags.
type tagged struct {
	name string // as in TagUser
	on   func(*query) string
	// edit gives the tags to change; the map that it returns is stored.
	edit func(q *query, change func(map[string]string) map[string]string) error
	read func(q *query) (map[string]string, error)
}

var taggedKinds = [...]tagged{
	{"User", onUser, func(q *query, change func(map[string]string) map[string]string) error {
		return q.h.cfg.Registry.EditUser(q.ctx, q.account, q.param("UserName"), func(u *identity.User) { u.Tags = change(u.Tags) })
	}, func(q *query) (map[string]string, error) {
		u, err := q.h.cfg.Registry.User(q.ctx, q.account, q.param("UserName"))
		if err != nil {
			return nil, err
		}
		return u.Tags, nil
	}},
	{"Role", onRole, func(q *query, change func(map[string]string) map[string]string) error {
		return q.h.cfg.Registry.EditRole(q.ctx, q.account, q.param("RoleName"), func(u *identity.Role) { u.Tags = change(u.Tags) })
	}, func(q *query) (map[string]string, error) {
		v, err := q.role()
		if err != nil {
			return nil, err
		}
		return v.Tags, nil
	}},
	{"Policy", onPolicy, func(q *query, change func(map[string]string) map[string]string) error {
		name, err := q.policyName()
		if err != nil {
			return err
		}
		_, err = q.h.cfg.Registry.EditPolicy(q.ctx, q.account, name, func(p *identity.Policy) { p.Tags = change(p.Tags) })
		return err
	}, func(q *query) (map[string]string, error) {
		p, _, err := q.policy()
		if err != nil {
			return nil, err
		}
		return p.Tags, nil
	}},
	{"OpenIDConnectProvider", onProvider, func(q *query, change func(map[string]string) map[string]string) error {
		name, err := q.providerName()
		if err != nil {
			return err
		}
		return q.h.cfg.Registry.EditProvider(q.ctx, q.account, name, func(p *identity.Provider) { p.Tags = change(p.Tags) })
	}, func(q *query) (map[string]string, error) {
		p, err := q.provider()
		if err != nil {
			return nil, err
		}
		return p.Tags, nil
	}},
}

// tagConditions are the keys about the tags that an action puts or removes; nil if there are none.
func (q *query) tagConditions(action string) map[string][]string {
	name := strings.TrimPrefix(action, "iam:")
	if strings.HasPrefix(name, "Untag") {
		return map[string][]string{"aws:tagkeys": q.members("TagKeys", "")}
	}
	creates := name == "CreateUser" || name == "CreateRole" || name == "CreatePolicy" || name == "CreateOpenIDConnectProvider"
	if !creates && !strings.HasPrefix(name, "Tag") {
		return nil
	}
	tags, err := q.tags()
	if err != nil { // the action will refuse them
		return nil
	}
	values := map[string][]string{"aws:tagkeys": slices.Sorted(maps.Keys(tags))}
	for k, v := range tags {
		values["aws:requesttag/"+k] = []string{v}
	}
	return values
}

// resourceContext adds the tags of what an action is about, which are read when a policy asks.
type resourceContext struct {
	policy.Context
	q      *query
	on     string // ARN
	read   bool
	tags   map[string]string
	failed error // what could not be read
}

// Values implements policy.Context.
func (c *resourceContext) Values(key string) []string {
	tag, ok := identity.ResourceTag(key)
	if !ok {
		return c.Context.Values(key)
	}
	if !c.read {
		c.read = true
		c.tags, c.failed = c.q.tagsOf(c.on)
	}
	if v, given := c.tags[tag]; given {
		return []string{v}
	}
	return nil
}

// tagsOf are none for what does not exist.
func (q *query) tagsOf(arn string) (tags map[string]string, err error) {
	rest, _ := strings.CutPrefix(arn, "arn:aws:iam::"+q.account+":")
	switch kind, name, _ := strings.Cut(rest, "/"); {
	case kind == "user" && name != "":
		var u *identity.User
		if u, err = q.h.cfg.Registry.User(q.ctx, q.account, name); err == nil {
			tags = u.Tags
		}
	case kind == "role" && name != "":
		var v *identity.Role
		if v, err = q.h.cfg.Registry.Role(q.ctx, q.account, name); err == nil {
			tags = v.Tags
		}
	case kind == "policy" && arn == q.param("PolicyArn"):
		var p *identity.Policy
		if p, _, err = q.policy(); err == nil {
			tags = p.Tags
		}
	case kind == "oidc-provider" && arn == q.param("OpenIDConnectProviderArn"):
		var p *identity.Provider
		if p, err = q.provider(); err == nil {
			tags = p.Tags
		}
	}
	if err != nil && errorOf(err) == errInternal {
		return nil, err
	}
	return tags, nil // the action will say what else is wrong
}

// tagActions are Tag, Untag and List...Tags.
func tagActions() map[string]action {
	all := map[string]action{}
	for _, k := range taggedKinds {
		all["Tag"+k.name] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			tags, err := q.tags()
			if err != nil {
				return nil, err
			}
			return none{}, k.edit(q, func(have map[string]string) map[string]string {
				if have == nil {
					return tags
				}
				maps.Copy(have, tags)
				return have
			})
		}}
		all["Untag"+k.name] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			keys := q.members("TagKeys", "")
			return none{}, k.edit(q, func(have map[string]string) map[string]string {
				for _, key := range keys {
					delete(have, key)
				}
				return have
			})
		}}
		all["List"+k.name+"Tags"] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			tags, err := k.read(q)
			if err != nil {
				return nil, err
			}
			return struct {
				Tags list[tag]
				page
			}{Tags: tagList(tags)}, nil
		}}
	}
	return all
}
