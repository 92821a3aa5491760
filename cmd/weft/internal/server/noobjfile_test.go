package server

import (
	"fmt"
	"testing"
)

// Fault model of this file: none. It guards a promise to parallel file systems,
// whose metadata servers suffer from small files: objects are not files.

func TestNoFilePerObject(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, 4)
	r := start(t, cfg, nil)
	r.makeBucket()
	count := func() (n int) {
		for _, dir := range cfg.Targets {
			n += len(files(t, dir))
		}
		return n
	}
	var os []object
	for i := range 500 {
		os = append(os, object{key: fmt.Sprint(i), n: int64(i*i) % (1 << 20), seed: uint64(i)})
	}
	r.mustPut(os[:4]...)
	before := count()
	r.mustPut(os[4:]...)
	// A superblock, and extents as they fill up.
	if after := count(); before > 2*len(cfg.Targets) || after > before+len(cfg.Targets) {
		t.Fatalf("%d files with 4 objects, %d with %d", before, after, len(os))
	}
	r.mustGet(os[490:]...)
}
