package iamapi

import (
	"cmp"
	"errors"
	"slices"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/s3api"
)

type user struct {
	Path, UserName, UserId, Arn, CreateDate string
	Tags                                    *list[tag] `xml:",omitempty"`
}

func showUser(u *identity.User, tags bool) user {
	out := user{"/", u.Name, u.ID, identity.UserARN(u.Account, u.Name), when(u.Created), nil}
	if tags && len(u.Tags) > 0 {
		t := tagList(u.Tags)
		out.Tags = &t
	}
	return out
}

var userActions = map[string]action{
	"CreateUser": {service: "iam", on: onUser, run: createUser},
	"GetUser":    {service: "iam", on: onUser, run: getUser},
	"ListUsers":  {service: "iam", on: onUsers, run: listUsers},
	"DeleteUser": {service: "iam", on: onUser, run: func(q *query) (any, error) {
		name, err := q.need("UserName")
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeleteUser(q.ctx, q.account, name, true)
	}},
	"ListGroupsForUser": {service: "iam", on: onUser, run: listGroupsForUser},
}

func createUser(q *query) (any, error) {
	name, err := q.need("UserName")
	if err != nil {
		return nil, err
	}
	tags, err := q.tags()
	if err := errors.Join(err, q.path()); err != nil {
		return nil, err
	}
	u, err := q.h.cfg.Registry.CreateUser(q.ctx, q.account, name, tags)
	if err != nil {
		return nil, err
	}
	return struct{ User user }{showUser(u, true)}, nil
}

func getUser(q *query) (any, error) {
	if q.param("UserName") == "" && q.who.Root {
		return struct{ User user }{user{Path: "/", UserId: q.account, Arn: q.who.ARNs[0], CreateDate: when(q.h.cfg.Now())}}, nil
	}
	name, err := q.userName()
	if err != nil {
		return nil, err
	}
	u, err := q.h.cfg.Registry.User(q.ctx, q.account, name)
	if err != nil {
		return nil, err
	}
	return struct{ User user }{showUser(u, true)}, nil
}

func listUsers(q *query) (any, error) {
	v, err := q.h.cfg.Registry.View(q.ctx, q.account)
	if err != nil {
		return nil, err
	}
	some, p, err := cut(q, v.Users, func(u *identity.User) string { return u.Name })
	out := struct {
		Users list[user]
		page
	}{page: p}
	for i := range some {
		out.Users.Member = append(out.Users.Member, showUser(&some[i], false))
	}
	return out, err
}

func listGroupsForUser(q *query) (any, error) {
	name, err := q.need("UserName")
	if err != nil {
		return nil, err
	}
	v, err := q.h.cfg.Registry.View(q.ctx, q.account)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(v.Users, name, func(u identity.User, n string) int { return cmp.Compare(u.Name, n) })
	if !found {
		return nil, errNoSuchEntity.saying("The user with name " + clip(name) + " cannot be found.")
	}
	groups := slices.DeleteFunc(v.Groups, func(g identity.Group) bool { return !slices.Contains(v.Users[i].Groups, g.Name) })
	return q.groups(groups)
}

type accessKey struct {
	UserName, AccessKeyId, Status string
	SecretAccessKey               string `xml:",omitempty"`
	CreateDate                    string
}

func showKey(k *identity.Key, q *query, secret string) accessKey {
	status := "Active"
	if k.State(q.h.cfg.Now()) != "active" {
		status = "Inactive"
	}
	return accessKey{k.User, k.ID, status, secret, when(k.Created)}
}

var keyActions = map[string]action{
	"CreateAccessKey": {service: "iam", on: onUser, run: func(q *query) (any, error) {
		name, err := q.keyOwner()
		if err != nil {
			return nil, err
		}
		k, secret, err := q.h.cfg.Registry.CreateKey(q.ctx, q.account, name, identity.KeyOptions{})
		if err != nil {
			return nil, err
		}
		return struct{ AccessKey accessKey }{showKey(k, q, secret)}, nil
	}},
	"ListAccessKeys": {service: "iam", on: onUser, run: listAccessKeys},
	"UpdateAccessKey": {service: "iam", on: onUser, run: func(q *query) (any, error) {
		id, err := q.ownKey()
		if err != nil {
			return nil, err
		}
		status := q.param("Status")
		if status != "Active" && status != "Inactive" {
			return nil, errValidation.saying("Status is Active or Inactive.")
		}
		return none{}, q.h.cfg.Registry.EditKey(q.ctx, id, func(k *identity.Key) { k.Disabled = status == "Inactive" })
	}},
	"DeleteAccessKey": {service: "iam", on: onUser, run: func(q *query) (any, error) {
		id, err := q.ownKey()
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeleteKey(q.ctx, id)
	}},
	"GetAccessKeyLastUsed": {service: "iam", run: func(q *query) (any, error) {
		id, err := q.need("AccessKeyId")
		if err != nil {
			return nil, err
		}
		k, err := q.h.cfg.Registry.Key(q.ctx, id)
		if err != nil || k.Account != q.account {
			return nil, errors.Join(errNoSuchEntity.saying("The Access Key with id "+clip(id)+" cannot be found."), err)
		}
		type used struct{ ServiceName, Region string }
		return struct {
			UserName          string
			AccessKeyLastUsed used
		}{k.User, used{"N/A", "N/A"}}, nil // it is not kept
	}},
}

// keyOwner is the user whose key is meant: "" is the root of the account.
func (q *query) keyOwner() (string, error) {
	if q.who.Root && q.param("UserName") == "" {
		if q.account == s3api.RootAccount {
			return "", errValidation.saying("The root keys of the root account are those of the state directory: name a user.")
		}
		return "", nil
	}
	return q.userName()
}

// ownKey is a key of the user that the request names.
func (q *query) ownKey() (string, error) {
	id, err := q.need("AccessKeyId")
	if err != nil {
		return "", err
	}
	owner, err := q.keyOwner()
	if err != nil {
		return "", err
	}
	k, err := q.h.cfg.Registry.Key(q.ctx, id)
	if err == nil && (k.Account != q.account || k.User != owner) {
		err = identity.ErrNotFound
	}
	if errors.Is(err, identity.ErrNotFound) {
		return "", errNoSuchEntity.saying("The Access Key with id " + clip(id) + " cannot be found.")
	}
	return id, err
}

func listAccessKeys(q *query) (any, error) {
	owner, err := q.keyOwner()
	if err != nil {
		return nil, err
	}
	keys, err := q.h.cfg.Registry.Keys(q.ctx, q.account, owner)
	if err != nil {
		return nil, err
	}
	some, p, err := cut(q, keys, func(k *identity.Key) string { return k.ID })
	out := struct {
		AccessKeyMetadata list[accessKey]
		page
	}{page: p}
	for i := range some {
		out.AccessKeyMetadata.Member = append(out.AccessKeyMetadata.Member, showKey(&some[i], q, ""))
	}
	return out, err
}
