package etcdkv

import (
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/kvtest"
)

func TestConformance(t *testing.T) {
	s := startEtcd(t, "http")
	kvtest.Run(t, func(t *testing.T) metadata.KV { return s.open(t) })
}
