package identity

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// Holder names a user, a group or a role of an account; just one is not "".
type Holder struct{ User, Group, Role string }

func (h Holder) String() string {
	switch {
	case h.User != "":
		return "user " + h.User
	case h.Group != "":
		return "group " + h.Group
	}
	return "role " + h.Role
}

// edit changes the grants of a holder.
func (h Holder) edit(w metadata.EntityTxn, account string, change func(*Grants) error) error {
	switch {
	case h.User != "":
		return editRecord(w, kindUser, account, h.User, func(u *User) error { return change(&u.Grants) })
	case h.Group != "":
		return editRecord(w, kindGroup, account, h.Group, func(v *Group) error { return change(&v.Grants) })
	}
	return editRecord(w, kindRole, account, h.Role, func(v *Role) error { return change(&v.Grants) })
}

func editRecord[T versioned](w metadata.EntityTxn, kind byte, account, name string, change func(*T) error) error {
	v, err := load[T](w.EntityReader, kind, account, name)
	if err != nil {
		return err
	}
	if err := change(v); err != nil {
		return err
	}
	return store(w, kind, account, name, v)
}

// Attach attaches a policy of the account, or a built-in one, or detaches it. To detach
// what is not attached is ErrNotFound.
func (g *Registry) Attach(ctx context.Context, account string, to Holder, name string, attached bool) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		if _, ok := builtIn[name]; !ok {
			if _, err := load[Policy](w.EntityReader, kindPolicy, account, name); err != nil {
				return err
			}
		}
		return to.edit(w, account, func(v *Grants) (err error) {
			if !attached && !slices.Contains(v.Policies, name) {
				return fmt.Errorf("policy %s is not attached to %s: %w", name, to, ErrNotFound)
			}
			v.Policies, err = with(v.Policies, name, attached, MaxAttached)
			return err
		})
	})
}

// PutInline gives a holder a policy of its own, or replaces it.
func (g *Registry) PutInline(ctx context.Context, account string, to Holder, name, document string) error {
	if err := checkNameOf(name, maxPolicies); err != nil {
		return err
	}
	if err := checkPolicy(document); err != nil {
		return err
	}
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return to.edit(w, account, func(v *Grants) error {
			all := maps.Clone(v.Inline)
			if all == nil {
				all = map[string]string{}
			}
			all[name] = document
			size := 0
			for _, d := range all {
				size += policy.Size(d)
			}
			if len(all) > maxInline || size > 10240 {
				return fmt.Errorf("inline policies of %s: at most %d of 10,240 characters together: %w", to, maxInline, ErrLimit)
			}
			v.Inline = all
			return nil
		})
	})
}

// DeleteInline removes one.
func (g *Registry) DeleteInline(ctx context.Context, account string, from Holder, name string) error {
	return g.update(ctx, func(w metadata.EntityTxn) error {
		return from.edit(w, account, func(v *Grants) error {
			if _, ok := v.Inline[name]; !ok {
				return fmt.Errorf("inline policy %s of %s: %w", name, from, ErrNotFound)
			}
			v.Inline = maps.Clone(v.Inline)
			delete(v.Inline, name)
			return nil
		})
	})
}

// Grants reads what a holder has.
func (g *Registry) Grants(ctx context.Context, account string, of Holder) (v Grants, err error) {
	err = g.db.ViewEntities(ctx, func(r metadata.EntityReader) error {
		switch {
		case of.User != "":
			u, err := load[User](r, kindUser, account, of.User)
			if err == nil {
				v = u.Grants
			}
			return err
		case of.Group != "":
			u, err := load[Group](r, kindGroup, account, of.Group)
			if err == nil {
				v = u.Grants
			}
			return err
		}
		u, err := load[Role](r, kindRole, account, of.Role)
		if err == nil {
			v = u.Grants
		}
		return err
	})
	return v, err
}

// attachedTo lists who has a managed policy.
func attachedTo(r metadata.EntityReader, account, name string) (all []Holder, err error) {
	users, err := list[User](r, kindUser, account)
	if err != nil {
		return nil, err
	}
	groups, err := list[Group](r, kindGroup, account)
	if err != nil {
		return nil, err
	}
	roles, err := list[Role](r, kindRole, account)
	if err != nil {
		return nil, err
	}
	for i := range users {
		if slices.Contains(users[i].Policies, name) {
			all = append(all, Holder{User: users[i].Name})
		}
	}
	for i := range groups {
		if slices.Contains(groups[i].Policies, name) {
			all = append(all, Holder{Group: groups[i].Name})
		}
	}
	for i := range roles {
		if slices.Contains(roles[i].Policies, name) {
			all = append(all, Holder{Role: roles[i].Name})
		}
	}
	return all, nil
}

// documents parses what the grants say, managed policies by their names once.
func (v *Grants) documents(r metadata.EntityReader, account string, seen map[string]bool) (docs []*policy.Document, err error) {
	add := func(name, text string) error {
		doc, err := policy.Parse([]byte(text), policy.Identity, "")
		if err != nil {
			return fmt.Errorf("policy %s: %w", name, err)
		}
		docs = append(docs, doc)
		return nil
	}
	for _, name := range v.Policies {
		if seen[name] {
			continue
		}
		seen[name] = true
		text, err := managed(r, account, name)
		if err == nil {
			err = add(name, text)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.Inline)) {
		if err := add(name, v.Inline[name]); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// managed is the document of a policy of the account, or of a built-in one.
func managed(r metadata.EntityReader, account, name string) (string, error) {
	own, err := load[Policy](r, kindPolicy, account, name)
	if err == nil {
		return own.Document, nil
	}
	if text, ok := builtIn[name]; ok && isNotFound(err) {
		return text, nil
	}
	return "", err
}
