package cluster

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/weftstore/weft/erasure"
)

// Limits of a file.
const (
	maxFile      = 1 << 20
	maxNodes     = 4096
	maxTargets   = 60000 // of all nodes together
	maxPerNode   = 1024
	maxAddresses = 16
	maxPath      = 1000
)

// DefaultPort of the fabric.
const DefaultPort = "7400"

// File is a checked cluster file.
type File struct {
	Path       string
	Deployment [16]byte
	Layout     erasure.Layout
	SecretFile string // absolute, or relative to the working directory as Path is
	// Metadata is the etcd:// URL of metadata that several gateways share; "" is none.
	Metadata string
	Division Division // of the metadata among etcd clusters
	Fabric   Fabric
	Nodes    []Node
}

// Node is one storage node.
type Node struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"` // HOST:PORT, one for each rail
	Domain    string   `json:"domain"`
	Targets   []string `json:"targets"`
	// Takeover are the nodes that see the targets at the same paths and take them over
	// when this one is gone; "*" is all.
	Takeover []string `json:"takeover,omitempty"`
}

// MayTakeOver says whether a node may have the targets of n when n is gone.
func (n *Node) MayTakeOver(name string) bool {
	return name != n.Name && (slices.Contains(n.Takeover, "*") || slices.Contains(n.Takeover, name))
}

// Node finds a node by its name.
func (f *File) Node(name string) (*Node, bool) {
	for i := range f.Nodes {
		if f.Nodes[i].Name == name {
			return &f.Nodes[i], true
		}
	}
	return nil, false
}

// WithNodes is the file with other nodes. The error lists what is wrong with them.
func (f *File) WithNodes(nodes []Node) (*File, error) {
	g := *f
	g.Nodes = nodes
	var p problems
	for i := range g.Nodes {
		checkTargets(g.Nodes[i].Name, g.Nodes[i].Targets, &p)
	}
	if len(nodes) > maxNodes {
		p.add("more than %d nodes", maxNodes)
	}
	g.checkNodes(&p)
	g.checkTakeover(&p)
	if n := g.Targets(); g.Layout.Shards() > n {
		p.add("layout %s needs %d targets and there are %d", g.Layout, g.Layout.Shards(), n)
	}
	return &g, errors.Join(p.list...)
}

// Targets counts those of all nodes.
func (f *File) Targets() int {
	n := 0
	for i := range f.Nodes {
		n += len(f.Nodes[i].Targets)
	}
	return n
}

// document is the file as it is written.
type document struct {
	Deployment string         `toml:"deployment"`
	Layout     string         `toml:"layout"`
	SecretFile string         `toml:"secret-file"`
	Metadata   string         `toml:"metadata"`
	Division   Division       `toml:"metadata-cluster"`
	Fabric     Fabric         `toml:"fabric"`
	Nodes      []nodeDocument `toml:"node"`
}

type nodeDocument struct {
	Name    string   `toml:"name"`
	Address []string `toml:"address"`
	Domain  string   `toml:"domain"`
	Targets []string `toml:"targets"`
	// Takeover names nodes, or "*" for all.
	Takeover []string `toml:"takeover"`
}

// Load reads and checks a file. The error lists every problem.
func Load(path string) (*File, error) {
	fd, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	defer fd.Close()
	b, err := io.ReadAll(io.LimitReader(fd, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cluster file: %w", err)
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("cluster file %s: %w", path, err)
	}
	f.Path = path
	if !filepath.IsAbs(f.SecretFile) {
		f.SecretFile = filepath.Join(filepath.Dir(path), f.SecretFile)
	}
	return f, nil
}

// Parse checks the content of a file. SecretFile stays as it is written.
func Parse(b []byte) (*File, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	doc := document{Fabric: defaultFabric()}
	meta, err := toml.NewDecoder(bytes.NewReader(b)).Decode(&doc)
	if err != nil {
		return nil, err
	}
	var p problems
	for _, key := range meta.Undecoded() {
		p.add("unknown setting %q", key.String())
	}
	f := doc.check(&p)
	return f, errors.Join(p.list...)
}

// maxProblems bounds what is reported at once.
const maxProblems = 50

type problems struct{ list []error }

func (p *problems) add(format string, args ...any) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, fmt.Errorf(format, args...))
	}
}

// parseDeployment reads 32 hexadecimal digits that are not all zero.
func parseDeployment(s string) (id [16]byte, ok bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	id = [16]byte(b)
	return id, id != [16]byte{}
}
