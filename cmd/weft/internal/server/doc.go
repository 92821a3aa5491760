// Package server is the whole of Weft in one process: a gateway (package gateway)
// over the storage node (package storagenode) beside it, joined by the mem
// transport. It is what `weft server` runs, and what end-to-end tests start in their
// own process. Node and gateway share the state directory.
package server
