package iamapi

import (
	"maps"
	"slices"

	"github.com/weftstore/weft/identity"
)

// kind is what policies are attached to.
type kind struct {
	name   string // as in PutUserPolicy
	param  string
	on     func(*query) string
	holder func(name string) identity.Holder
}

var kinds = [...]kind{
	{"User", "UserName", onUser, func(n string) identity.Holder { return identity.Holder{User: n} }},
	{"Group", "GroupName", onGroup, func(n string) identity.Holder { return identity.Holder{Group: n} }},
	{"Role", "RoleName", onRole, func(n string) identity.Holder { return identity.Holder{Role: n} }},
}

// grants are those of the holder that the request names.
func (k kind) grants(q *query) (identity.Holder, identity.Grants, error) {
	name, err := q.need(k.param)
	if err != nil {
		return identity.Holder{}, identity.Grants{}, err
	}
	h := k.holder(name)
	g, err := q.h.cfg.Registry.Grants(q.ctx, q.account, h)
	return h, g, err
}

// inlineActions are Put, Get, Delete and List of a holder's own policies.
func inlineActions() map[string]action {
	all := map[string]action{}
	for _, k := range kinds {
		all["Put"+k.name+"Policy"] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			names, err := q.needs(k.param, "PolicyName", "PolicyDocument")
			if err != nil {
				return nil, err
			}
			return none{}, q.h.cfg.Registry.PutInline(q.ctx, q.account, k.holder(names[0]), names[1], names[2])
		}}
		all["Delete"+k.name+"Policy"] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			names, err := q.needs(k.param, "PolicyName")
			if err != nil {
				return nil, err
			}
			return none{}, q.h.cfg.Registry.DeleteInline(q.ctx, q.account, k.holder(names[0]), names[1])
		}}
		all["Get"+k.name+"Policy"] = action{service: "iam", on: k.on, run: k.getInline}
		all["List"+k.name+"Policies"] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			_, g, err := k.grants(q)
			if err != nil {
				return nil, err
			}
			some, p, err := cut(q, slices.Sorted(maps.Keys(g.Inline)), func(s *string) string { return *s })
			return struct {
				PolicyNames list[string]
				page
			}{list[string]{some}, p}, err
		}}
	}
	return all
}

func (k kind) getInline(q *query) (any, error) {
	name, err := q.need("PolicyName")
	if err != nil {
		return nil, err
	}
	h, g, err := k.grants(q)
	if err != nil {
		return nil, err
	}
	text, ok := g.Inline[name]
	if !ok {
		return nil, errNoSuchEntity.saying("The " + h.String() + " has no policy with name " + clip(name) + ".")
	}
	return struct {
		UserName                   string `xml:",omitempty"`
		GroupName                  string `xml:",omitempty"`
		RoleName                   string `xml:",omitempty"`
		PolicyName, PolicyDocument string
	}{h.User, h.Group, h.Role, name, document(text)}, nil
}

type attached struct{ PolicyName, PolicyArn string }

// attachActions are Attach, Detach and ListAttached of managed policies.
func attachActions() map[string]action {
	all := map[string]action{"ListEntitiesForPolicy": {service: "iam", on: onPolicy, run: listEntities}}
	for _, k := range kinds {
		attach := func(on bool) func(*query) (any, error) {
			return func(q *query) (any, error) {
				name, err := q.need(k.param)
				if err != nil {
					return nil, err
				}
				policy, err := q.policyName()
				if err != nil {
					return nil, err
				}
				return none{}, q.h.cfg.Registry.Attach(q.ctx, q.account, k.holder(name), policy, on)
			}
		}
		all["Attach"+k.name+"Policy"] = action{service: "iam", on: k.on, run: attach(true)}
		all["Detach"+k.name+"Policy"] = action{service: "iam", on: k.on, run: attach(false)}
		all["ListAttached"+k.name+"Policies"] = action{service: "iam", on: k.on, run: func(q *query) (any, error) {
			_, g, err := k.grants(q)
			if err != nil {
				return nil, err
			}
			some, p, err := cut(q, g.Policies, func(s *string) string { return *s })
			out := struct {
				AttachedPolicies list[attached]
				page
			}{page: p}
			for _, name := range some {
				out.AttachedPolicies.Member = append(out.AttachedPolicies.Member, attached{name, policyARN(q.account, name)})
			}
			return out, err
		}}
	}
	return all
}

func listEntities(q *query) (any, error) {
	p, v, err := q.policy()
	if err != nil {
		return nil, err
	}
	type named struct {
		UserName, UserId   string `xml:",omitempty"`
		GroupName, GroupId string `xml:",omitempty"`
		RoleName, RoleId   string `xml:",omitempty"`
	}
	out := struct {
		PolicyUsers, PolicyGroups, PolicyRoles list[named]
		page
	}{}
	for i := range v.Users {
		if u := &v.Users[i]; slices.Contains(u.Policies, p.Name) {
			out.PolicyUsers.Member = append(out.PolicyUsers.Member, named{UserName: u.Name, UserId: u.ID})
		}
	}
	for i := range v.Groups {
		if g := &v.Groups[i]; slices.Contains(g.Policies, p.Name) {
			out.PolicyGroups.Member = append(out.PolicyGroups.Member, named{GroupName: g.Name, GroupId: g.ID})
		}
	}
	for i := range v.Roles {
		if r := &v.Roles[i]; slices.Contains(r.Policies, p.Name) {
			out.PolicyRoles.Member = append(out.PolicyRoles.Member, named{RoleName: r.Name, RoleId: r.ID})
		}
	}
	return out, nil
}
