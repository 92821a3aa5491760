package iamapi

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/weftstore/weft/identity"
)

type managedPolicy struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount                                   int
	IsAttachable                                      bool
	Description                                       string `xml:",omitempty"`
	CreateDate, UpdateDate                            string
	Tags                                              *list[tag] `xml:",omitempty"`
}

type policyVersion struct {
	Document         string `xml:",omitempty"`
	VersionId        string
	IsDefaultVersion bool
	CreateDate       string
}

func versionOf(p *identity.Policy) string { return "v" + strconv.Itoa(max(p.Revision, 1)) }

func showPolicy(p *identity.Policy, attached int) managedPolicy {
	out := managedPolicy{p.Name, p.ID, policyARN(p.Account, p.Name), "/", versionOf(p), attached, true, p.Description, when(p.Created), when(p.Updated), nil}
	if len(p.Tags) > 0 {
		t := tagList(p.Tags)
		out.Tags = &t
	}
	return out
}

func showVersion(p *identity.Policy, text bool) policyVersion {
	v := policyVersion{VersionId: versionOf(p), IsDefaultVersion: true, CreateDate: when(p.Updated)}
	if text {
		v.Document = document(p.Document)
	}
	return v
}

var policyActions = map[string]action{
	"CreatePolicy": {service: "iam", on: onNewPolicy, run: createPolicy},
	"GetPolicy": {service: "iam", on: onPolicy, run: func(q *query) (any, error) {
		p, v, err := q.policy()
		if err != nil {
			return nil, err
		}
		return struct{ Policy managedPolicy }{showPolicy(p, attachments(v, p.Name))}, nil
	}},
	"GetPolicyVersion": {service: "iam", on: onPolicy, run: func(q *query) (any, error) {
		p, _, err := q.policy()
		if err != nil {
			return nil, err
		}
		if id := q.param("VersionId"); id != versionOf(p) {
			return nil, errNoSuchEntity.saying("Policy version " + clip(id) + " does not exist: only the newest is kept.")
		}
		return struct{ PolicyVersion policyVersion }{showVersion(p, true)}, nil
	}},
	"ListPolicyVersions": {service: "iam", on: onPolicy, run: func(q *query) (any, error) {
		p, _, err := q.policy()
		if err != nil {
			return nil, err
		}
		return struct {
			Versions list[policyVersion]
			page
		}{Versions: list[policyVersion]{[]policyVersion{showVersion(p, false)}}}, nil
	}},
	"CreatePolicyVersion": {service: "iam", on: onPolicy, run: createPolicyVersion},
	"DeletePolicyVersion": {service: "iam", on: onPolicy, run: func(q *query) (any, error) {
		p, _, err := q.policy()
		if err != nil {
			return nil, err
		}
		if q.param("VersionId") == versionOf(p) {
			return nil, &Error{"DeleteConflict", "Cannot delete the default version of a policy.", 409}
		}
		return nil, errNoSuchEntity.saying("Only the newest version of a policy is kept.")
	}},
	"ListPolicies": {service: "iam", run: listPolicies},
	"DeletePolicy": {service: "iam", on: onPolicy, run: func(q *query) (any, error) {
		name, err := q.policyName()
		if err != nil {
			return nil, err
		}
		return none{}, q.h.cfg.Registry.DeletePolicy(q.ctx, q.account, name)
	}},
}

func createPolicy(q *query) (any, error) {
	names, err := q.needs("PolicyName", "PolicyDocument")
	if err != nil {
		return nil, err
	}
	tags, err := q.tags()
	if err := errors.Join(err, q.path()); err != nil {
		return nil, err
	}
	p, err := q.h.cfg.Registry.CreatePolicy(q.ctx, q.account, identity.Policy{Name: names[0], Document: names[1], Description: q.param("Description"), Tags: tags})
	if err != nil {
		return nil, err
	}
	return struct{ Policy managedPolicy }{showPolicy(p, 0)}, nil
}

func createPolicyVersion(q *query) (any, error) {
	name, err := q.policyName()
	if err != nil {
		return nil, err
	}
	text, err := q.need("PolicyDocument")
	if err != nil {
		return nil, err
	}
	if q.param("SetAsDefault") != "true" {
		return nil, errInvalidInput.saying("Only the newest version of a policy is kept: set SetAsDefault.")
	}
	p, err := q.h.cfg.Registry.EditPolicy(q.ctx, q.account, name, func(p *identity.Policy) { p.Document = text })
	if err != nil {
		return nil, err
	}
	return struct{ PolicyVersion policyVersion }{showVersion(p, false)}, nil
}

// policy is the one that the request names, with the account that it is in.
func (q *query) policy() (*identity.Policy, *identity.View, error) {
	name, err := q.policyName()
	if err != nil {
		return nil, nil, err
	}
	v, err := q.h.cfg.Registry.View(q.ctx, q.account)
	if err != nil {
		return nil, nil, err
	}
	if text := identity.BuiltIn(name); text != "" {
		return builtIn(name, text), &v, nil
	}
	i, found := slices.BinarySearchFunc(v.Policies, name, func(p identity.Policy, n string) int { return cmp.Compare(p.Name, n) })
	if !found {
		return nil, nil, errNoSuchEntity.saying("Policy " + clip(q.param("PolicyArn")) + " was not found.")
	}
	return &v.Policies[i], &v, nil
}

func builtIn(name, text string) *identity.Policy {
	epoch := time.Unix(0, 0)
	return &identity.Policy{Account: "aws", Name: name, ID: "ANPABUILTIN" + name, Document: text, Created: epoch, Updated: epoch, Revision: 1}
}

func attachments(v *identity.View, name string) (n int) {
	for i := range v.Users {
		n += count(v.Users[i].Policies, name)
	}
	for i := range v.Groups {
		n += count(v.Groups[i].Policies, name)
	}
	for i := range v.Roles {
		n += count(v.Roles[i].Policies, name)
	}
	return n
}

func count(names []string, name string) int {
	if slices.Contains(names, name) {
		return 1
	}
	return 0
}

func listPolicies(q *query) (any, error) {
	v, err := q.h.cfg.Registry.View(q.ctx, q.account)
	if err != nil {
		return nil, err
	}
	var all []identity.Policy
	switch q.param("Scope") {
	case "", "All":
		all = append(v.Policies, builtIns()...)
	case "Local":
		all = v.Policies
	case "AWS":
		all = builtIns()
	default:
		return nil, errValidation.saying("Scope is All, AWS or Local.")
	}
	slices.SortFunc(all, func(a, b identity.Policy) int { return cmp.Compare(a.Name, b.Name) })
	if q.param("OnlyAttached") == "true" {
		all = slices.DeleteFunc(all, func(p identity.Policy) bool { return attachments(&v, p.Name) == 0 })
	}
	some, p, err := cut(q, all, func(p *identity.Policy) string { return p.Name })
	out := struct {
		Policies list[managedPolicy]
		page
	}{page: p}
	for i := range some {
		shown := showPolicy(&some[i], attachments(&v, some[i].Name))
		shown.Tags = nil
		out.Policies.Member = append(out.Policies.Member, shown)
	}
	return out, err
}

func builtIns() (all []identity.Policy) {
	for _, name := range identity.BuiltIns() {
		all = append(all, *builtIn(name, identity.BuiltIn(name)))
	}
	return all
}
