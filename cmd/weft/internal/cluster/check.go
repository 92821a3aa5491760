package cluster

import (
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata/etcdkv"
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9._:%-]{1,253}$`)
)

// check turns what is written into what is meant.
func (d *document) check(p *problems) *File {
	f := &File{SecretFile: d.SecretFile, Fabric: d.Fabric}
	var ok bool
	if f.Deployment, ok = parseDeployment(d.Deployment); !ok {
		p.add("deployment: want the 32 hexadecimal digits that `weft cluster init` made")
	}
	if d.SecretFile == "" {
		p.add("secret-file: name the file with the cluster's secret")
	}
	d.Fabric.check(p)
	if f.Metadata = d.Metadata; d.Metadata != "" {
		if _, err := etcdkv.ParseURL(d.Metadata); err != nil {
			p.add("metadata: %w", err)
		}
	}
	f.Division = d.Division
	f.Division.check(d.Metadata, p)
	for i := range d.Nodes {
		d.Nodes[i].expand(f, p)
	}
	if len(d.Nodes) == 0 {
		p.add("no [[node]]: name at least one storage node")
	}
	f.checkNodes(p)
	f.checkTakeover(p)
	f.checkLayout(d.Layout, p)
	return f
}

// expand adds the nodes that an entry stands for.
func (d *nodeDocument) expand(f *File, p *problems) {
	names, err := expand(d.Name)
	if err != nil {
		p.add("node %q: %w", d.Name, err)
		return
	}
	if len(f.Nodes)+len(names) > maxNodes {
		p.add("more than %d nodes", maxNodes)
		return
	}
	if len(d.Address) == 0 {
		d.Address = []string{d.Name}
	}
	if len(d.Address) > maxAddresses {
		p.add("node %q: more than %d addresses", d.Name, maxAddresses)
		return
	}
	nodes := make([]Node, len(names))
	for i, name := range names {
		nodes[i] = Node{Name: name, Domain: d.Domain, Targets: d.Targets, Takeover: d.Takeover}
		if d.Domain == "" {
			nodes[i].Domain = name
		}
	}
	for _, a := range d.Address {
		list, err := expand(a)
		if err == nil && len(list) == 1 && len(names) > 1 {
			p.add("node %q: address %q is the same for %d nodes", d.Name, a, len(names))
			continue
		}
		if err != nil || len(list) != len(names) {
			p.add("node %q: address %q does not give one for each of %d nodes", d.Name, a, len(names))
			continue
		}
		for i := range nodes {
			addr, ok := HostPort(list[i])
			if !ok {
				p.add("node %q: address %q: want HOST or HOST:PORT", names[i], list[i])
				break
			}
			nodes[i].Addresses = append(nodes[i].Addresses, addr)
		}
	}
	checkTargets(d.Name, d.Targets, p)
	f.Nodes = append(f.Nodes, nodes...)
}

// checkTargets also writes the directories in their shortest form.
func checkTargets(node string, dirs []string, p *problems) {
	if n := len(dirs); n == 0 || n > maxPerNode {
		p.add("node %q: %d targets: want 1 to %d directories", node, n, maxPerNode)
	}
	seen := map[string]bool{}
	for i, t := range dirs {
		if !filepath.IsAbs(t) || len(t) > maxPath || strings.ContainsFunc(t, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			p.add("node %q: target %q: want the absolute path of a directory", node, t)
			continue
		}
		t = filepath.Clean(t)
		if seen[t] {
			p.add("node %q: target %q is named twice", node, t)
		}
		seen[t] = true
		dirs[i] = t
	}
}

// checkNodes looks for what two nodes share.
func (f *File) checkNodes(p *problems) {
	names, addresses := map[string]bool{}, map[string]string{}
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if !nameForm.MatchString(n.Name) {
			p.add("node %q: want a name of letters, digits, '.', '_' and '-', at most 63", n.Name)
		}
		if !nameForm.MatchString(n.Domain) {
			p.add("node %q: domain %q: want letters, digits, '.', '_' and '-', at most 63", n.Name, n.Domain)
		}
		if names[n.Name] {
			p.add("node %q is there twice", n.Name)
		}
		names[n.Name] = true
		f.Fabric.checkRails(n, p)
		for _, a := range n.Addresses {
			if other, ok := addresses[a]; ok {
				p.add("address %s is that of node %q and of node %q", a, other, n.Name)
			}
			addresses[a] = n.Name
		}
	}
	if n := f.Targets(); n > maxTargets {
		p.add("%d targets: at most %d are possible", n, maxTargets)
	}
}

// checkTakeover expands ranges and looks for names that no node has, and for directories
// that the other node has itself.
func (f *File) checkTakeover(p *problems) {
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if len(n.Takeover) > 0 && f.Metadata == "" {
			p.add("node %q: takeover needs metadata in etcd", n.Name)
		}
		var names []string
		for _, name := range n.Takeover {
			list, err := expand(name)
			if err != nil {
				p.add("node %q: takeover %q: %w", n.Name, name, err)
			}
			names = append(names, list...)
		}
		n.Takeover = names
		for _, name := range names {
			if _, ok := f.Node(name); name != "*" && !ok {
				p.add("node %q: takeover by %q: there is no such node", n.Name, name)
			}
		}
		for j := range f.Nodes {
			other := &f.Nodes[j]
			if !n.MayTakeOver(other.Name) {
				continue
			}
			for _, dir := range n.Targets {
				if slices.Contains(other.Targets, dir) {
					p.add("node %q: %q cannot take over %q, as it has a target of its own there", n.Name, other.Name, dir)
				}
			}
		}
	}
}

func (f *File) checkLayout(s string, p *problems) {
	n := f.Targets()
	if s == "" {
		f.Layout = erasure.Default(max(n, 1))
		return
	}
	l, err := erasure.ParseLayout(s)
	if err != nil {
		p.add("layout: %w", err)
		return
	}
	if f.Layout = l; l.Shards() > n {
		p.add("layout %s needs %d targets and there are %d", l, l.Shards(), n)
	}
}

// HostPort adds the default port to an address without one; false when it is none.
func HostPort(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), DefaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !hostForm.MatchString(host) {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}
