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

// maxGap is how many empty entries in a row end a table: the kernel takes the first that is free for a new address, and a
// table has up to a thousand, each a file.
const maxGap = 64

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
	var indices []int
	for _, e := range entries {
		if index, err := strconv.Atoi(e.Name()); err == nil {
			indices = append(indices, index)
		}
	}
	slices.Sort(indices)
	var table []GID
	empty := 0
	for _, index := range indices {
		if empty == maxGap {
			break
		}
		addr, err := netip.ParseAddr(read("gids", index))
		if err != nil || addr.IsUnspecified() {
			empty++
			continue
		}
		empty = 0
		g := GID{Index: index, Addr: addr.Unmap(), Netdev: read("gid_attrs/ndevs", index), Type: "IB"}
		switch kind := read("gid_attrs/types", index); {
		case kind == "RoCE v2":
			g.Type = kind
		case layer == "Ethernet":
			g.Type = "RoCE v1"
		}
		table = append(table, g)
	}
	return table
}

func (g GID) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s", g.Index, g.Type, g.Addr, g.Netdev))
}
