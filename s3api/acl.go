package s3api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/weftstore/weft/s3api/policy"
)

const (
	configACL = "acl"
	// attrACL is the attribute of a version that has its owner and its list.
	attrACL = "acl"

	maxGrants = 100 // S3's limit
)

// Values of ObjectOwnership. With the first there are no access control lists.
const (
	ownerEnforced  = "BucketOwnerEnforced"
	ownerPreferred = "BucketOwnerPreferred"
	ownerWriter    = "ObjectWriter"
)

func validOwnership(s string) bool {
	return s == ownerEnforced || s == ownerPreferred || s == ownerWriter
}

// acl is an access control list, and whose the thing is.
type acl struct {
	Owner  string  `json:"owner"` // account
	Grants []grant `json:"grants"`
}

// grant gives a permission to an account, by its canonical id, or to a group.
type grant struct {
	ID         string `json:"id,omitempty"`
	Group      string `json:"group,omitempty"` // the end of its URI
	Permission string `json:"permission"`
}

const (
	groupPrefix   = "http://acs.amazonaws.com/groups/"
	allUsers      = "global/AllUsers"
	authenticated = "global/AuthenticatedUsers"
	logDelivery   = "s3/LogDelivery"
)

// Permissions of a grant.
const (
	permFull     = "FULL_CONTROL"
	permRead     = "READ"
	permWrite    = "WRITE"
	permReadACP  = "READ_ACP"
	permWriteACP = "WRITE_ACP"
)

var permissions = []string{permFull, permRead, permWrite, permReadACP, permWriteACP}

// privateACL is what there is without a list.
func (h *Handler) privateACL(owner string) *acl {
	return &acl{Owner: owner, Grants: []grant{{ID: h.canonicalID(owner), Permission: permFull}}}
}

// cannedACL makes the list that a name stands for.
func (h *Handler) cannedACL(name, owner, bucketOwner string) (*acl, error) {
	a := &acl{Owner: owner}
	group := func(g string, perms ...string) {
		for _, p := range perms {
			a.Grants = append(a.Grants, grant{Group: g, Permission: p})
		}
	}
	own := grant{ID: h.canonicalID(owner), Permission: permFull}
	switch name {
	case "private":
	case "public-read":
		group(allUsers, permRead)
	case "public-read-write":
		group(allUsers, permRead, permWrite)
	case "authenticated-read":
		group(authenticated, permRead)
	case "log-delivery-write":
		group(logDelivery, permWrite, permReadACP)
	case "bucket-owner-read", "bucket-owner-full-control":
		a.Grants = append(a.Grants, own)
		if bucketOwner != owner {
			perm := permRead
			if name == "bucket-owner-full-control" {
				perm = permFull
			}
			a.Grants = append(a.Grants, grant{ID: h.canonicalID(bucketOwner), Permission: perm})
		}
		return a, nil
	default:
		return nil, badArgument("x-amz-acl", name, "Invalid canned ACL")
	}
	a.Grants = append(a.Grants, own)
	return a, nil
}

func (a *acl) encode() (string, error) {
	b, err := json.Marshal(a)
	return string(b), err
}

func decodeACL(text string) (*acl, error) {
	a := new(acl)
	if err := json.Unmarshal([]byte(text), a); err != nil {
		return nil, fmt.Errorf("access control list: %w", err)
	}
	return a, nil
}

// public says that everybody, or everybody with a key, is granted something.
func (a *acl) public() bool {
	return slices.ContainsFunc(a.Grants, func(g grant) bool { return g.Group == allUsers || g.Group == authenticated })
}

// grants tells what the list says of a permission and who asks. What it gives an account
// is for the account's policies to pass on to its users; private: grants to everybody do
// not count.
func (a *acl) grants(who *Principal, canonicalID, perm string, private bool) policy.Effect {
	effect := policy.None
	for i := range a.Grants {
		g := &a.Grants[i]
		if g.Permission != perm && g.Permission != permFull {
			continue
		}
		switch {
		case g.Group == "" && who.Account != "" && g.ID == canonicalID:
			effect = max(effect, toAccount(who))
		case g.Group == allUsers && !private, g.Group == authenticated && !private && who.Account != "", g.Group == logDelivery && who.Service == loggingService:
			return policy.Allow
		}
	}
	return effect
}

// toAccount is what a grant to the account of who asks means.
func toAccount(who *Principal) policy.Effect {
	if who.Root {
		return policy.Allow
	}
	return policy.AllowAccount
}

// grantHeaders are the headers that list grantees of one permission.
var grantHeaders = [...]struct{ header, permission string }{
	{"X-Amz-Grant-Read", permRead}, {"X-Amz-Grant-Write", permWrite}, {"X-Amz-Grant-Read-Acp", permReadACP},
	{"X-Amz-Grant-Write-Acp", permWriteACP}, {"X-Amz-Grant-Full-Control", permFull},
}

// headerACL is the list that a request asks for by its headers; nil if it asks for none.
func (c *call) headerACL(owner, bucketOwner string) (*acl, error) {
	if c.given != nil {
		return c.given, nil
	}
	canned := c.r.Header.Get("X-Amz-Acl")
	if canned != "" {
		if c.hasGrants() {
			return nil, errInvalidRequest.saying("Specifying both Canned ACLs and Header Grants is not allowed")
		}
		return c.h.cannedACL(canned, owner, bucketOwner)
	}
	if !c.hasGrants() {
		return nil, nil
	}
	a := &acl{Owner: owner}
	for _, g := range &grantHeaders {
		for one := range strings.SplitSeq(c.r.Header.Get(g.header), ",") {
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			kind, value, _ := strings.Cut(one, "=")
			made, err := newGrant(strings.TrimSpace(kind), strings.Trim(strings.TrimSpace(value), `"`), g.permission)
			if err != nil {
				return nil, err
			}
			a.Grants = append(a.Grants, made)
		}
	}
	return a, a.check()
}

// newGrant checks a grantee, who is named by "id", "uri" or "emailAddress".
func newGrant(kind, value, permission string) (grant, error) {
	g := grant{Permission: permission}
	switch strings.ToLower(kind) {
	case "id":
		if len(value) != 64 || strings.Trim(value, "0123456789abcdef") != "" {
			return g, badArgument("CanonicalUser/ID", value, "Invalid id")
		}
		g.ID = value
	case "uri":
		group, ok := strings.CutPrefix(value, groupPrefix)
		if !ok || group != allUsers && group != authenticated && group != logDelivery {
			return g, badArgument("Group/URI", value, "Invalid group uri")
		}
		g.Group = group
	case "emailaddress":
		return g, &Error{Code: "UnresolvableGrantByEmailAddress", Status: 400, Message: "The e-mail address you provided does not match any account on record."}
	default:
		return g, badArgument("x-amz-grant-", kind, "Argument format not recognized")
	}
	if !slices.Contains(permissions, permission) {
		return g, errMalformedXML
	}
	return g, nil
}

// check bounds a list, and puts groups first, as they are shown.
func (a *acl) check() error {
	if len(a.Grants) > maxGrants {
		return errMalformedACL
	}
	slices.SortStableFunc(a.Grants, func(x, y grant) int {
		if (x.Group != "") == (y.Group != "") {
			return 0
		}
		if x.Group != "" {
			return -1
		}
		return 1
	})
	return nil
}

// documentACL reads an AccessControlPolicy. The owner cannot be changed by it.
func (h *Handler) documentACL(data []byte, owner string) (*acl, error) {
	root, err := parseXML(data, "AccessControlPolicy", 1024)
	if err != nil {
		return nil, err
	}
	list := root.child("AccessControlList")
	if list == nil {
		return nil, errMalformedACL
	}
	if o := root.child("Owner"); o != nil && o.value("ID") != "" && o.value("ID") != h.canonicalID(owner) {
		return nil, errAccessDenied
	}
	a := &acl{Owner: owner}
	if a.Grants, err = readGrants(list); err != nil {
		return nil, err
	}
	return a, a.check()
}

// readGrants reads the elements Grant of a list.
func readGrants(list *element) ([]grant, error) {
	grants := make([]grant, 0, len(list.children))
	for i := range list.children {
		e := &list.children[i]
		who := e.child("Grantee")
		if e.name != "Grant" || who == nil {
			return nil, errMalformedACL
		}
		kind, value := "id", who.value("ID")
		for _, other := range [...]string{"URI", "EmailAddress"} {
			if v := who.value(other); v != "" {
				kind, value = other, v
			}
		}
		g, err := newGrant(kind, value, e.value("Permission"))
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// aclDocument shows a list.
func (h *Handler) aclDocument(a *acl) *doc {
	d := newDoc("AccessControlPolicy", 1024)
	d.owner("Owner", h.canonicalID(a.Owner))
	d.open("AccessControlList")
	d.grants(a.Grants)
	d.close("AccessControlList")
	d.close("AccessControlPolicy")
	return d
}

// grants adds an element Grant for each.
func (d *doc) grants(list []grant) {
	for i := range list {
		g := &list[i]
		d.open("Grant")
		d.raw(`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`)
		if g.Group != "" {
			d.raw(`Group">`)
			d.str("URI", groupPrefix+g.Group)
		} else {
			d.raw(`CanonicalUser">`)
			d.str("ID", g.ID)
			d.str("DisplayName", displayName(g.ID))
		}
		d.close("Grantee")
		d.str("Permission", g.Permission)
		d.close("Grant")
	}
}
