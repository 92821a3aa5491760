package tidy

import (
	"slices"
	"strconv"
	"strings"
)

// cgoDir is the only directory with import "C".
const cgoDir = "rdma/internal/verbs"

// floors lists what the packages of each top-level directory may import of the module, besides themselves and
// internal. Imports point down only: cmd, iamapi, identity, s3api, store, node, and on the ground erasure, metadata, rdma and kms, which
// know nothing of one another. A directory that is not listed may import nothing of the module but internal.
// "=metadata" allows that one package and none below it: s3api speaks in metadata's types but knows no engine.
var floors = map[string][]string{
	"cmd":       {"iamapi", "s3api", "identity", "lifecycle", "store", "node", "erasure", "metadata", "rdma", "kms", "notify", "bench"},
	"iamapi":    {"identity", "s3api"},
	"identity":  {"s3api", "=metadata"},
	"s3api":     {"store", "lifecycle", "=metadata", "kms", "notify"},
	"store":     {"node", "erasure", "metadata", "rdma"},
	"node":      {"erasure", "metadata", "rdma"},
	"bench":     {},
	"erasure":   {},
	"metadata":  {},
	"rdma":      {},
	"kms":       {},
	"notify":    {"=metadata"},
	"internal":  {},
	"scripts":   {"bench"},
	"lifecycle": {"=metadata"},
}

// testFloors adds what only the tests of a directory may import: a test may put together the floors below it,
// even those that its package must not know.
var testFloors = map[string][]string{
	"notify":    {"metadata"},
	"s3api":     {"node", "erasure", "metadata", "rdma"},
	"iamapi":    {"metadata"},
	"identity":  {"metadata"},
	"internal":  {"s3api", "store", "node", "erasure", "metadata", "rdma"},
	"bench":     {"s3api", "store", "node", "erasure", "metadata", "rdma"},
	"lifecycle": {"metadata"},
}

// imports reports imports that point up or sideways, and cgo outside its directory.
func imports(g *goFile, module string) []Finding {
	var found []Finding
	for _, spec := range g.ast.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has seen to it that this does not happen
		}
		if target == "C" && g.dir != cgoDir {
			found = append(found, g.at(spec.Pos(), "cgo", `import "C" is for %s only`, cgoDir))
		}
		to, ours := strings.CutPrefix(target, module+"/")
		if ours && !allowed(top(g.dir), to, g.test) {
			found = append(found, g.at(spec.Pos(), "floor", "%s may not import %s", top(g.dir), to))
		}
	}
	return found
}

func allowed(from, to string, test bool) bool {
	if from == top(to) || top(to) == "internal" {
		return true
	}
	names := floors[from]
	if test {
		names = append(slices.Clone(names), testFloors[from]...)
	}
	return slices.Contains(names, top(to)) || slices.Contains(names, "="+to)
}

// top is the first element of a path from the root.
func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}
