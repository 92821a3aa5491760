package s3api

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/policy"
)

// RootAccount is the account of the root keys and of buckets without an owner.
const RootAccount = "000000000000"

// rootCanonical is its canonical user id, unless Config has another.
const rootCanonical = "77656674000000000000000000000000000000000000000000000000726f6f74"

// Principal is who signed a request, with all that is allowed to it on its own side. The
// Authenticator returns one as the owner of a key; it is read-only. A key whose owner is
// something else, or nil, is the operator's: that of [Operator].
type Principal struct {
	policy.Principal
	// Operator: the root of the root account, to whom the buckets of all accounts are
	// as its own.
	Operator bool
	// Name and ID are aws:username and aws:userid; Name is "" for what is no user.
	Name, ID string
	// Policies are those of a user and its groups, or of a role.
	Policies []*policy.Document
	// Session limits what a session or a key with a policy of its own may do; nil: nothing.
	Session *policy.Document
	// Issued is when temporary credentials were made; zero for others.
	Issued time.Time
	// Limits bound what the account and the access key may use; Weight is the account's
	// in relation to others, 0 being 1.
	Limits, KeyLimits fair.Rates
	Weight            float64
	// Key is the access key that KeyLimits are of, also for the sessions made with it.
	Key string
	// SourceARN and SourceAccount are for whom a service acts, see policy.Principal.
	SourceARN, SourceAccount string
	// Tags of the user or the role.
	Tags map[string]string
}

// Operator is the principal of the root keys.
func Operator() *Principal {
	return &Principal{Operator: true, ID: RootAccount, Principal: policy.Principal{
		Account: RootAccount, Canonical: rootCanonical, ARNs: []string{"arn:aws:iam::" + RootAccount + ":root"}, Root: true}}
}

var operator = Operator()

// anonymous is who did not sign.
var anonymous = &Principal{}

// who is the principal of a request.
func (c *call) who() *Principal {
	if c.auth.Identity.AccessKey == "" {
		return anonymous
	}
	if p, ok := c.auth.Identity.Owner.(*Principal); ok && p != nil {
		return p
	}
	return operator
}

// canonicalID is the canonical user id of an account, "" being the root account.
func (h *Handler) canonicalID(account string) string {
	if account == "" || account == RootAccount {
		return h.cfg.OwnerID
	}
	return CanonicalID(account)
}

// CanonicalID is the canonical user id of an account. But for the root account's it follows
// from the account's, so that there is nothing to look up or to lose.
func CanonicalID(account string) string {
	if account == RootAccount {
		return rootCanonical
	}
	sum := sha256.Sum256([]byte("weft canonical user id " + account))
	return hex.EncodeToString(sum[:])
}
