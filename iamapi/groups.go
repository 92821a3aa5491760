package iamapi

import (
	"cmp"
	"slices"

	"github.com/weftstore/weft/identity"
)

type group struct{ Path, GroupName, GroupId, Arn, CreateDate string }

func showGroup(g *identity.Group) group {
	return group{"/", g.Name, g.ID, groupARN(g.Account, g.Name), when(g.Created)}
}

var groupActions = map[string]action{
	"CreateGroup": {service: "iam", on: onGroup, run: func(q *query) (any, error) {
		name, err := q.need("GroupName")
		if err != nil {
			return nil, err
		}
		if err := q.path(); err != nil {
			return nil, err
		}
		g, err := q.h.cfg.Registry.CreateGroup(q.ctx, q.account, name)
		if err != nil {
			return nil, err
		}
		return struct{ Group group }{showGroup(g)}, nil
	}},
	"GetGroup": {service: "iam", on: onGroup, run: getGroup},
	"ListGroups": {service: "iam", run: func(q *query) (any, error) {
		v, err := q.h.cfg.Registry.View(q.ctx, q.account)
		if err != nil {
			return nil, err
		}
		return q.groups(v.Groups)
	}},
	"DeleteGroup": {service: "iam", on: onGroup, run: func(q *query) (any, error) {
		name, err := q.need("GroupName")
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeleteGroup(q.ctx, q.account, name)
	}},
	"AddUserToGroup":      {service: "iam", on: onGroup, run: func(q *query) (any, error) { return q.member(true) }},
	"RemoveUserFromGroup": {service: "iam", on: onGroup, run: func(q *query) (any, error) { return q.member(false) }},
}

func (q *query) member(in bool) (any, error) {
	names, err := q.needs("GroupName", "UserName")
	if err != nil {
		return nil, err
	}
	return none{}, q.h.cfg.Registry.SetMember(q.ctx, q.account, names[0], names[1], in)
}

func (q *query) groups(all []identity.Group) (any, error) {
	some, p, err := cut(q, all, func(g *identity.Group) string { return g.Name })
	out := struct {
		Groups list[group]
		page
	}{page: p}
	for i := range some {
		out.Groups.Member = append(out.Groups.Member, showGroup(&some[i]))
	}
	return out, err
}

func getGroup(q *query) (any, error) {
	name, err := q.need("GroupName")
	if err != nil {
		return nil, err
	}
	v, err := q.h.cfg.Registry.View(q.ctx, q.account)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(v.Groups, name, func(g identity.Group, n string) int { return cmp.Compare(g.Name, n) })
	if !found {
		return nil, errNoSuchEntity.saying("The group with name " + clip(name) + " cannot be found.")
	}
	members := slices.DeleteFunc(v.Users, func(u identity.User) bool { return !slices.Contains(u.Groups, name) })
	some, p, err := cut(q, members, func(u *identity.User) string { return u.Name })
	out := struct {
		Group group
		Users list[user]
		page
	}{Group: showGroup(&v.Groups[i]), page: p}
	for i := range some {
		out.Users.Member = append(out.Users.Member, showUser(&some[i], false))
	}
	return out, err
}
