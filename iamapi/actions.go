package iamapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/weftstore/weft/identity"
)

// action is one of IAM's or STS's.
type action struct {
	service string
	on      func(*query) string // ARN of what it is about; nil: "*"
	run     func(*query) (any, error)
	open    bool // not decided by the policies of who asks
}

var actions = func() map[string]action {
	all := map[string]action{}
	for _, table := range []map[string]action{userActions, keyActions, groupActions, policyActions, roleActions, inlineActions(), attachActions(), providerActions, tagActions(), stsActions} {
		maps.Copy(all, table)
	}
	return all
}()

// Operations are the names of all actions, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(actions)) }

// Service is "iam" or "sts" for the name of an action, else "".
func Service(name string) string { return actions[name].service }

func (q *query) param(name string) string { return q.form.Get(name) }

// need is a parameter that must be there.
func (q *query) need(name string) (string, error) {
	if v := q.form.Get(name); v != "" {
		return v, nil
	}
	return "", errValidation.saying("The request must contain the parameter " + name + ".")
}

// needs are several.
func (q *query) needs(names ...string) ([]string, error) {
	out := make([]string, len(names))
	for i, name := range names {
		var err error
		if out[i], err = q.need(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// members is a list of texts.
func (q *query) members(name, suffix string) (out []string) {
	for i := 1; i <= maxParams; i++ {
		v, ok := q.form[name+".member."+strconv.Itoa(i)+suffix]
		if !ok {
			return out
		}
		out = append(out, v[0])
	}
	return out
}

func (q *query) tags() (map[string]string, error) {
	keys, values := q.members("Tags", ".Key"), q.members("Tags", ".Value")
	if len(keys) != len(values) {
		return nil, errValidation.saying("Each tag needs a Key and a Value.")
	}
	var tags map[string]string
	for i, k := range keys {
		if _, ok := tags[k]; ok {
			return nil, errInvalidInput.saying("Duplicate tag keys found.")
		}
		if tags == nil {
			tags = map[string]string{}
		}
		tags[k] = values[i]
	}
	return tags, nil
}

func tagList(tags map[string]string) (out list[tag]) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out.Member = append(out.Member, tag{k, tags[k]})
	}
	return out
}

// path refuses names with paths, which identities here do not have.
func (q *query) path() error {
	if p := q.param("Path"); p != "" && p != "/" {
		return errValidation.saying("Identities have no paths here: the only Path is /.")
	}
	return nil
}

// cut is the page of a sorted listing that the request asks for.
func cut[T any](q *query, all []T, name func(*T) string) ([]T, page, error) {
	limit := 100
	if s := q.param("MaxItems"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1000 {
			return nil, page{}, errValidation.saying("MaxItems is a number from 1 to 1000.")
		}
		limit = n
	}
	if p := q.param("PathPrefix"); p != "" && p != "/" {
		all = nil
	}
	after := q.param("Marker")
	i := 0
	for i < len(all) && after != "" && name(&all[i]) <= after {
		i++
	}
	if all = all[i:]; len(all) > limit {
		return all[:limit], page{true, name(&all[limit-1])}, nil
	}
	return all, page{}, nil
}

// userName is the user that the request names, else who asks.
func (q *query) userName() (string, error) {
	if name := q.param("UserName"); name != "" {
		return name, nil
	}
	if q.who.Name == "" {
		return "", errValidation.saying("Must specify userName when calling with non-User credentials")
	}
	return q.who.Name, nil
}

func onUser(q *query) string {
	name, err := q.userName()
	if err != nil {
		return "*"
	}
	return identity.UserARN(q.account, name)
}

func onUsers(q *query) string { return identity.UserARN(q.account, "") }
func onGroup(q *query) string { return groupARN(q.account, q.param("GroupName")) }
func onRole(q *query) string  { return identity.RoleARN(q.account, q.param("RoleName")) }

func onPolicy(q *query) string    { return q.param("PolicyArn") }
func onNewPolicy(q *query) string { return policyARN(q.account, q.param("PolicyName")) }

func groupARN(account, name string) string { return "arn:aws:iam::" + account + ":group/" + name }
func policyARN(account, name string) string {
	if identity.BuiltIn(name) != "" {
		account = "aws"
	}
	return "arn:aws:iam::" + account + ":policy/" + name
}

// policyName is the policy of an ARN: one of the account, or a built-in one.
func (q *query) policyName() (string, error) {
	arn, err := q.need("PolicyArn")
	if err != nil {
		return "", err
	}
	return q.policyOf(arn)
}

func (q *query) policyOf(arn string) (string, error) {
	if name, ok := strings.CutPrefix(arn, policyARN(q.account, "")); ok {
		return name, nil
	}
	if name, ok := strings.CutPrefix(arn, "arn:aws:iam::aws:policy/"); ok && identity.BuiltIn(name) != "" {
		return name, nil
	}
	return "", errNoSuchEntity.saying("Policy " + clip(arn) + " does not exist or is not attachable.")
}
