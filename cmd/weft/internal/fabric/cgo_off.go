//go:build !cgo

package fabric

const cgoEnabled = false
