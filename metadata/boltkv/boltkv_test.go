package boltkv

import (
	"path/filepath"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/kvtest"
)

func openTest(t testing.TB, opts Options) *DB {
	d, err := OpenWith(filepath.Join(t.TempDir(), "kv"), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) metadata.KV { return openTest(t, Options{NoSync: true}) })
}
