// Package oidc verifies ID tokens of OpenID Connect providers (OpenID Connect Core 1.0,
// section 3.1.3.7; RFC 7519). It finds a provider's keys by discovery, remembers them and
// asks again when a token names a key that it does not know.
//
// [Verifier] is safe for concurrent use. Errors are [ErrInvalid], [ErrExpired] and
// [ErrProvider], wrapped with a reason that has nothing of the token in it.
//
// # Limits
//
// Keys are asked for again after an hour, when they change the next token says so, and
// when the provider does not answer old ones are good for [MaxStale]. A provider is asked
// at most once in [MinFetch], so that tokens with made-up keys cost it nothing. Documents
// have at most 256 KiB and 64 keys, and redirects are not followed. A token has at most
// [MaxToken] bytes.
package oidc

import (
	"errors"
	"time"
)

// Limits.
const (
	MaxToken = 20000 // bytes, that of AssumeRoleWithWebIdentity
	MinFetch = 10 * time.Second
	MaxAge   = time.Hour
	MaxStale = 4 * time.Hour

	leeway       = time.Minute // for clocks that differ
	maxDocument  = 256 << 10
	maxKeys      = 64
	maxProviders = 256
	fetchWithin  = 5 * time.Second
)

// Errors.
var (
	// ErrInvalid: the token is not one of this provider for these audiences.
	ErrInvalid = errors.New("invalid identity token")
	// ErrExpired: it was, but is no longer.
	ErrExpired = errors.New("expired identity token")
	// ErrProvider: the provider did not give its keys.
	ErrProvider = errors.New("identity provider not reachable")
)
