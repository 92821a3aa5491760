// Package extent is the on-disk chunk store of one target.
package extent
