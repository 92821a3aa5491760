package gateway

import (
	"log/slog"
	"testing"

	"github.com/weftstore/weft/metadata"
)

// Another gateway removes a target while this one starts and has no store yet.
func TestRemovedBeforeTheStore(t *testing.T) {
	ns := newNodes(nil, nil, [16]byte{1}, nil, 0, slog.New(slog.DiscardHandler))
	row := metadata.Target{ID: 1, UUID: [16]byte{2}, Path: "node:/dir"}
	ns.learn([]metadata.Target{row})
	row.Retired = true
	ns.learn([]metadata.Target{row})
	if !ns.isRetired(row.ID) || len(ns.targets) != 0 {
		t.Fatal("a removed target is there: ", ns.targets)
	}
}
