//go:build race

package gateway_test

// copiesBytes is what is put and got under the race detector, where all is slower.
const copiesBytes = 384 << 20
