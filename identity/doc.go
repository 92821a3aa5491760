// Package identity keeps accounts, users, groups, policies and access keys, and finds
// out whose a request's access key is.
//
// It speaks no HTTP. [Registry] changes what is kept; [Directory] is the cached look-up
// that requests go through, a sigv4.Lookup; [Keyring] seals secrets. All are safe for
// concurrent use. Errors are the sentinels of this file, wrapped.
//
// # Records
//
// Entities of package metadata, each a JSON object with a version, 1:
//
//	kind  scope    name    record
//	a     -        id      Account
//	u     account  name    User
//	g     account  name    Group
//	p     account  name    Policy
//	r     account  name    Role
//	o     account  issuer  Provider, without https://
//	k     -        id      Key
//
// A key's secret is sealed. The id of an account is 12 digits; that of the root account,
// 000000000000, has no record.
//
// # Sealing
//
// AES-256-GCM with a random nonce; what is sealed is bound to its access key:
//
//	+--------+-------------+----------+-----------------+
//	| format | id of a key |  nonce   | ciphertext, tag |
//	| 1 byte |   8 bytes   | 12 bytes |                 |
//	+--------+-------------+----------+-----------------+
//
// The format is 1; the additional data is "weft secret 1 " or "weft session 1 " and the
// access key. A keyring is a file of lines "ID KEY", both in hexadecimal (16 and 64
// digits); the first seals, all of them open. Empty lines and those that begin with #
// are skipped.
//
// # Sessions
//
// A session's token is the base64url of a sealed JSON object with its secret, so that
// every process with the keyring knows it and nothing is stored. It says the access key
// or the role that it is of, and ends with that; what the key's user or the role may do
// is looked up for each request, and the session's own policies, which are in the token,
// limit it.
//
// # How soon a change holds
//
// At once in the process that made it, after [Age] at most in others.
package identity

import (
	"errors"
	"time"
)

// Age bounds how old what the Directory says may be.
const Age = 5 * time.Second

// Errors.
var (
	ErrNotFound = errors.New("no such identity")
	ErrExists   = errors.New("it exists already")
	ErrInUse    = errors.New("it is in use")
	ErrInvalid  = errors.New("invalid")
	ErrLimit    = errors.New("limit exceeded")
	// ErrDenied: a role does not trust who asks, or does not exist.
	ErrDenied = errors.New("not authorized to assume this role")
	// ErrSealed: nothing in the keyring opens a secret.
	ErrSealed = errors.New("no key of the keyring opens this secret")
)
