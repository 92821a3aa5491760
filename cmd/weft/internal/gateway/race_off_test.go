//go:build !race

package gateway_test

// copiesBytes is what is put and got.
const copiesBytes = 1 << 30
