package iamapi

import (
	"errors"
	"strconv"
	"time"

	"github.com/weftstore/weft/identity"
)

type role struct {
	Path, RoleName, RoleId, Arn, CreateDate string
	AssumeRolePolicyDocument                string
	Description                             string `xml:",omitempty"`
	MaxSessionDuration                      int
	Tags                                    *list[tag] `xml:",omitempty"`
}

func showRole(v *identity.Role) role {
	out := role{"/", v.Name, v.ID, identity.RoleARN(v.Account, v.Name), when(v.Created), document(v.Trust), v.Description, int(v.MaxSession / time.Second), nil}
	if len(v.Tags) > 0 {
		t := tagList(v.Tags)
		out.Tags = &t
	}
	return out
}

var roleActions = map[string]action{
	"CreateRole": {service: "iam", on: onRole, run: createRole},
	"GetRole": {service: "iam", on: onRole, run: func(q *query) (any, error) {
		v, err := q.role()
		if err != nil {
			return nil, err
		}
		return struct{ Role role }{showRole(v)}, nil
	}},
	"ListRoles": {service: "iam", run: func(q *query) (any, error) {
		v, err := q.h.cfg.Registry.View(q.ctx, q.account)
		if err != nil {
			return nil, err
		}
		some, p, err := cut(q, v.Roles, func(r *identity.Role) string { return r.Name })
		out := struct {
			Roles list[role]
			page
		}{page: p}
		for i := range some {
			out.Roles.Member = append(out.Roles.Member, showRole(&some[i]))
		}
		return out, err
	}},
	"DeleteRole": {service: "iam", on: onRole, run: func(q *query) (any, error) {
		name, err := q.need("RoleName")
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeleteRole(q.ctx, q.account, name)
	}},
	"UpdateAssumeRolePolicy": {service: "iam", on: onRole, run: func(q *query) (any, error) {
		names, err := q.needs("RoleName", "PolicyDocument")
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.EditRole(q.ctx, q.account, names[0], func(v *identity.Role) { v.Trust = names[1] })
	}},
	"UpdateRole":            {service: "iam", on: onRole, run: updateRole},
	"UpdateRoleDescription": {service: "iam", on: onRole, run: updateRole},
	// There are none; Terraform asks before it deletes a role.
	"ListInstanceProfilesForRole": {service: "iam", on: onRole, run: func(q *query) (any, error) {
		_, err := q.role()
		return struct {
			InstanceProfiles list[none]
			page
		}{}, err
	}},
}

func (q *query) role() (*identity.Role, error) {
	name, err := q.need("RoleName")
	if err != nil {
		return nil, err
	}
	return q.h.cfg.Registry.Role(q.ctx, q.account, name)
}

// seconds is a duration, zero if absent.
func (q *query) seconds(name string) (time.Duration, error) {
	s := q.param(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1e6 {
		return 0, errValidation.saying(name + " is a number of seconds.")
	}
	return time.Duration(n) * time.Second, nil
}

func createRole(q *query) (any, error) {
	names, err := q.needs("RoleName", "AssumeRolePolicyDocument")
	if err != nil {
		return nil, err
	}
	tags, err := q.tags()
	longest, err2 := q.seconds("MaxSessionDuration")
	if err := errors.Join(err, err2, q.path()); err != nil {
		return nil, err
	}
	if q.param("PermissionsBoundary") != "" {
		return nil, errInvalidInput.saying("Permissions boundaries are not implemented.")
	}
	v, err := q.h.cfg.Registry.CreateRole(q.ctx, q.account, names[0], identity.RoleOptions{Trust: names[1], Description: q.param("Description"), MaxSession: longest, Tags: tags})
	if err != nil {
		return nil, err
	}
	return struct{ Role role }{showRole(v)}, nil
}

func updateRole(q *query) (any, error) {
	name, err := q.need("RoleName")
	if err != nil {
		return nil, err
	}
	longest, err := q.seconds("MaxSessionDuration")
	if err != nil {
		return nil, err
	}
	err = q.h.cfg.Registry.EditRole(q.ctx, q.account, name, func(v *identity.Role) {
		if _, ok := q.form["Description"]; ok {
			v.Description = q.param("Description")
		}
		if longest > 0 {
			v.MaxSession = longest
		}
	})
	return struct{}{}, err
}
