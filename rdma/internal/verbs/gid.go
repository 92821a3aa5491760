package verbs

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// GID is an entry of a port's table of global identifiers.
type GID struct {
	Index  int
	Type   string     // "IB", "RoCE v1" or "RoCE v2"
	Addr   netip.Addr // IPv4 where the GID is one in IPv6 notation
	Netdev string     // the network interface, "" for InfiniBand
}

// gids reads the table from sysfs, which has it on every kernel, with the interfaces' names. Entries that cannot be
// read are left out: an empty entry has no type.
func gids(sys fs.FS, device string, port int, layer string) []GID {
	dir := path.Join(device, "ports", strconv.Itoa(port))
	entries, err := fs.ReadDir(sys, path.Join(dir, "gids"))
	if err != nil {
		return nil
	}
	read := func(name string, index int) string {
		p, err := fs.ReadFile(sys, path.Join(dir, name, strconv.Itoa(index)))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(p))
	}
	var table []GID
	for _, e := range entries {
		index, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		addr, err := netip.ParseAddr(read("gids", index))
		if err != nil || addr.IsUnspecified() {
			continue
		}
		g := GID{Index: index, Addr: addr.Unmap(), Netdev: read("gid_attrs/ndevs", index), Type: "IB"}
		switch kind := read("gid_attrs/types", index); {
		case kind == "RoCE v2":
			g.Type = kind
		case layer == "Ethernet":
			g.Type = "RoCE v1"
		}
		table = append(table, g)
	}
	slices.SortFunc(table, func(a, b GID) int { return a.Index - b.Index })
	return table
}

func (g GID) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s", g.Index, g.Type, g.Addr, g.Netdev))
}
