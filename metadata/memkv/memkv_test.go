package memkv

import (
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/kvtest"
)

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(*testing.T) metadata.KV { return New() })
}
