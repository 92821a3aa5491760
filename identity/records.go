package identity

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/policy"
)

const recordVersion = 1

// Kinds of entities.
const (
	kindAccount = 'a'
	kindUser    = 'u'
	kindGroup   = 'g'
	kindPolicy  = 'p'
	kindKey     = 'k'
	kindRole    = 'r'
	kindOIDC    = 'o'
)

// Limits, those of IAM where it has some.
const (
	MaxKeys     = 16 // of a user
	MaxAttached = 10 // policies
	MaxGroups   = 10 // of a user
	MaxTags     = 50
	maxNames    = 64  // characters
	maxPolicies = 128 // characters of a policy's name
	maxInline   = 16  // policies; IAM bounds their size together
)

// Account is a tenant: it owns buckets and users.
type Account struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Keys    []string  `json:"keys,omitempty"` // of its root
	// Limits bound what its requests may use at a gateway; Weight is its share in relation
	// to other accounts when they contend, 0 being 1.
	Limits fair.Rates `json:"limits,omitzero"`
	Weight float64    `json:"weight,omitempty"`
}

// Grants are the policies of a user, a group or a role.
type Grants struct {
	Policies []string          `json:"policies,omitempty"` // names of managed ones
	Inline   map[string]string `json:"inline,omitempty"`   // documents by name
}

// User belongs to an account.
type User struct {
	Version int       `json:"version"`
	Account string    `json:"account"`
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Groups  []string  `json:"groups,omitempty"`
	Grants
	Keys []string          `json:"keys,omitempty"`
	Tags map[string]string `json:"tags,omitempty"`
}

// Group gives its policies to its users.
type Group struct {
	Version int       `json:"version"`
	Account string    `json:"account"`
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Grants
}

// Role is what somebody whom its trust policy names may become for a while.
type Role struct {
	Version     int           `json:"version"`
	Account     string        `json:"account"`
	Name        string        `json:"name"`
	ID          string        `json:"id"`
	Created     time.Time     `json:"created"`
	Description string        `json:"description,omitempty"`
	Trust       string        `json:"trust"` // document
	MaxSession  time.Duration `json:"max_session"`
	Grants
	Tags map[string]string `json:"tags,omitempty"`
}

// Provider is an OpenID Connect provider whose tokens an account trusts.
type Provider struct {
	Version     int               `json:"version"`
	Account     string            `json:"account"`
	URL         string            `json:"url"`     // its issuer, https://...
	Clients     []string          `json:"clients"` // audiences that are accepted
	Thumbprints []string          `json:"thumbprints,omitempty"`
	Created     time.Time         `json:"created"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Policy is a managed policy.
type Policy struct {
	Version  int       `json:"version"`
	Account  string    `json:"account"`
	Name     string    `json:"name"`
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	// Revision counts the documents that it has had, from 1. Older ones are not kept.
	Revision    int               `json:"revision,omitempty"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Key is an access key of a user, or of the account's root when User is "". With a
// policy of its own it is what other stores call a service account: it may do what
// both the user and the policy allow.
type Key struct {
	Version     int        `json:"version"`
	ID          string     `json:"id"`
	Account     string     `json:"account"`
	User        string     `json:"user,omitempty"`
	Description string     `json:"description,omitempty"`
	Sealed      []byte     `json:"sealed,omitempty"`
	Policy      string     `json:"policy,omitempty"`
	Disabled    bool       `json:"disabled,omitempty"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires,omitzero"`
	Rotated     bool       `json:"rotated,omitempty"` // that is why it expires then
	Limits      fair.Rates `json:"limits,omitzero"`   // beside those of the account
}

// State is "active", "disabled" or "expired".
func (k *Key) State(now time.Time) string {
	switch {
	case k.Disabled:
		return "disabled"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	}
	return "active"
}

// builtIn are policies that every account has.
var builtIn = map[string]string{
	"AdministratorAccess":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	"AmazonS3FullAccess":     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`,
	"AmazonS3ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}`,
}

// BuiltIn is the document of a built-in policy, "" if there is none of the name.
func BuiltIn(name string) string { return builtIn[name] }

// BuiltIns are their names, sorted.
func BuiltIns() []string { return slices.Sorted(maps.Keys(builtIn)) }

// versioned is every record.
type versioned interface {
	Account | User | Group | Policy | Key | Role | Provider
}

func load[T versioned](r metadata.EntityReader, kind byte, scope, name string) (*T, error) {
	data, err := r.Get(kind, scope, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("%s %q: %w", kindName(kind), name, ErrNotFound)
	}
	return decode[T](data)
}

func decode[T versioned](data []byte) (*T, error) {
	var head struct{ Version int }
	v := new(T)
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("identity record: %w", metadata.ErrCorrupt)
	}
	if head.Version != recordVersion {
		return nil, fmt.Errorf("identity record of version %d was written by another release of weft: %w", head.Version, metadata.ErrCorrupt)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("identity record: %w", metadata.ErrCorrupt)
	}
	return v, nil
}

func store[T versioned](w metadata.EntityTxn, kind byte, scope, name string, v *T) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Put(kind, scope, name, data)
}

func list[T versioned](r metadata.EntityReader, kind byte, scope string) (out []T, err error) {
	out = []T{} // none is [] in JSON
	var bad error
	err = r.Scan(kind, scope, func(_ string, data []byte) bool {
		v, derr := decode[T](data)
		if derr != nil {
			bad = derr
			return false
		}
		out = append(out, *v)
		return true
	})
	if err == nil {
		err = bad
	}
	return out, err
}

func kindName(kind byte) string {
	return map[byte]string{kindAccount: "account", kindUser: "user", kindGroup: "group", kindPolicy: "policy", kindKey: "access key",
		kindRole: "role", kindOIDC: "OpenID Connect provider"}[kind]
}

// checkName applies IAM's rule for names.
func checkName(name string) error { return checkNameOf(name, maxNames) }

func checkNameOf(name string, limit int) error {
	if name == "" || len(name) > limit {
		return fmt.Errorf("name %.32q is empty or longer than %d characters: %w", name, limit, ErrInvalid)
	}
	for i := range len(name) {
		c := name[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("+=,.@-_", rune(c)) {
			return fmt.Errorf("name %q: only letters, digits and + = , . @ - _ are allowed: %w", name, ErrInvalid)
		}
	}
	return nil
}

func checkPolicy(document string) error {
	if _, err := policy.Parse([]byte(document), policy.Identity, ""); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// newID makes an id as AWS's look: a prefix of four letters and 80 random bits.
func newID(prefix string) string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

// exists reads the record of an account; the root account has none and is there.
func exists(r metadata.EntityReader, account string) error {
	if account == s3api.RootAccount {
		return nil
	}
	_, err := load[Account](r, kindAccount, "", account)
	return err
}
