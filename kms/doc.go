// Package kms gives out the keys of encrypted objects and opens them again.
//
// A [Service] makes a data key and the same key sealed, which is kept with the object;
// later it opens what it sealed. [Local] seals with a keyring of this deployment,
// [Vault] asks the transit engine of a Vault (or OpenBao) server, and [Cached] spares
// the questions. What a data key is bound to, such as a bucket and an encryption context,
// must be given again to open it.
//
// The errors are [ErrNoKey], [ErrSealed] and [ErrUnavailable], wrapped; none has a key,
// a token or an answer of the server in it. All types are safe for concurrent use.
package kms
