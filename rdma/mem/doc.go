// Package mem is the fabric within one process: a Call runs the server's handler
// in the caller's goroutine, Pull and Push lend the caller's own memory, and no
// byte of bulk data is copied.
//
// Everything else is as strict as on a wire: memory must be registered, keys are
// random and checked with every transfer, a closed region is out of reach, and
// Close of a region waits for the transfers in it.
//
// One Transport is one network: servers are found under the addresses they were
// given, by connections dialed on the same Transport. As the handler runs in the
// caller's goroutine, Call returns when the handler does; a handler that ignores
// its context delays the caller past its deadline.
package mem
