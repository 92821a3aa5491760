package cluster

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
)

// Spec is a [[node]] entry to write.
type Spec struct {
	Name    string
	Address []string
	Domain  string
	Targets []string
}

// ParseSpec reads NAME[@DOMAIN][=ADDRESS[,ADDRESS...]]=DIR[,DIR...], in which NAME and
// ADDRESS may have a range.
func ParseSpec(s string) (Spec, error) {
	fields := strings.Split(s, "=")
	if len(fields) < 2 || len(fields) > 3 || fields[0] == "" {
		return Spec{}, fmt.Errorf("node %q: want NAME=DIR[,DIR...] or NAME=ADDRESS[,ADDRESS...]=DIR[,DIR...]", s)
	}
	var spec Spec
	spec.Name, spec.Domain, _ = strings.Cut(fields[0], "@")
	if len(fields) == 3 {
		spec.Address = strings.Split(fields[1], ",")
	}
	spec.Targets = strings.Split(fields[len(fields)-1], ",")
	return spec, nil
}

// Nodes are those that the entry stands for.
func (s Spec) Nodes() ([]Node, error) {
	d := nodeDocument{Name: s.Name, Address: s.Address, Domain: s.Domain, Targets: s.Targets}
	var f File
	var p problems
	d.expand(&f, &p)
	return f.Nodes, errors.Join(p.list...)
}

var fileTemplate = template.Must(template.New("cluster").Parse(`# A Weft cluster. Copy this file and {{.Secret}} to every host that runs
# "weft node" or "weft gateway"; check changes with "weft cluster check".

# Which store this is. Never change it: targets of another one are refused.
deployment = "{{.Deployment}}"

# How new objects are protected: ec:K+M, replica:N or stripe:K. M shards of an object
# may be lost. No failure domain holds more than M of them as long as there are
# enough domains. Default: by the number of targets.
{{if .Layout}}layout = "{{.Layout}}"{{else}}# layout = "ec:4+2"{{end}}

# Authenticates nodes and gateways to each other. Mode 0600.
secret-file = "{{.Secret}}"

# Metadata that several gateways share, in an etcd cluster of three or five members:
# etcd://HOST:PORT,...[/PREFIX][?ca=FILE&cert=FILE&key=FILE&user=NAME&password-file=FILE].
# Without it there is one gateway, which has the metadata in its state directory.
# metadata = "etcd://etcd1:2379,etcd2:2379,etcd3:2379"

[fabric]
# auto: RDMA verbs where both ends have them, else TCP. verbs: nothing else. tcp.
transport = "auto"
# Encrypt what goes over TCP.
tls = false
# Connections from a gateway to a node; at least one for each rail.
lanes = 2
# Networks that carry the fabric, if there are several: each node has one address in
# each, and "weft fabric devices" looks whether a host has RDMA in each.
# rails = ["10.0.0.0/24", "10.1.0.0/24"]
# Registered memory through which a node's transfers go, and huge pages for all
# registered memory.
# staging = "64MiB"
# huge-pages = false

# Storage nodes. A range such as node[01-16] in name and address stands for as many
# nodes. address: one for each rail, HOST or HOST:PORT; by default the name and port
# 7400. domain: what fails as a whole, such as a rack; by default the node itself.
# targets: directories, each a disk or a place on a parallel file system.
# takeover: nodes that see the same directories on a parallel file system, or "*"; they
# take the targets over when the node is gone. Needs metadata in etcd.
{{range .Nodes}}
[[node]]
name = {{printf "%q" .Name}}
{{if .Address}}address = [{{range $i, $a := .Address}}{{if $i}}, {{end}}{{printf "%q" $a}}{{end}}]
{{end}}{{if .Domain}}domain = {{printf "%q" .Domain}}
{{end}}targets = [{{range $i, $t := .Targets}}{{if $i}}, {{end}}{{printf "%q" $t}}{{end}}]
{{end}}`))

// Init writes a new cluster file and its secret beside it. It writes over nothing.
func Init(path, layout string, nodes []Spec) (*File, error) {
	if len(nodes) == 0 {
		nodes = []Spec{{Name: "node[1-6]", Targets: []string{"/mnt/ost0", "/mnt/ost1"}}}
	}
	secret := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + ".secret"
	id := statedir.RandomID()
	var b bytes.Buffer
	err := fileTemplate.Execute(&b, map[string]any{
		"Deployment": hex.EncodeToString(id[:]), "Layout": layout, "Secret": secret, "Nodes": nodes,
	})
	if err != nil {
		return nil, err
	}
	f, err := Parse(b.Bytes())
	if err != nil {
		return nil, err
	}
	f.Path, f.SecretFile = path, filepath.Join(filepath.Dir(path), secret)
	if err := writeNew(f.SecretFile, newSecret(), 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(path, b.Bytes(), 0o644); err != nil {
		_ = os.Remove(f.SecretFile) // made just now
		return nil, err
	}
	return f, nil
}

// writeNew makes a file that must not be there yet.
func writeNew(path string, data []byte, mode os.FileMode) error {
	fd, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another cluster file, or move it away", path)
	}
	if err != nil {
		return err
	}
	_, err = fd.Write(data)
	if err == nil {
		err = fd.Sync()
	}
	if cerr := fd.Close(); err == nil {
		err = cerr
	}
	return err
}
