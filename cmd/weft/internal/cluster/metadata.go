package cluster

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/etcdkv"
)

// HomeCluster is the name of the etcd cluster that the setting metadata names.
const HomeCluster = "home"

// maxPatterns bounds what one metadata cluster may be given.
const maxPatterns = 1000

// MetadataCluster is an etcd cluster that has some of the buckets.
type MetadataCluster struct {
	Name string `toml:"name" json:"name"`
	URL  string `toml:"url" json:"-"` // etcd://…
	// Buckets are patterns, of path.Match, of the names of buckets that are made there.
	Buckets []string `toml:"buckets" json:"buckets"`
}

// Division says which etcd clusters share the metadata beside the home, in the order in
// which their patterns are tried. An empty one is a home alone.
type Division []MetadataCluster

// CheckMetadata reads the files that the URLs of etcd name.
func (f *File) CheckMetadata() error {
	var errs []error
	check := func(what, url string) {
		cfg, err := etcdkv.ParseURL(url)
		if err == nil {
			err = cfg.Check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if f.Metadata != "" {
		check("metadata", f.Metadata)
	}
	for _, c := range f.Division {
		check(fmt.Sprintf("metadata-cluster %q", c.Name), c.URL)
	}
	return errors.Join(errs...)
}

// Place gives the number of the cluster for a new bucket: 0 is the home, 1 the first of d.
func (d Division) Place(bucket string) int {
	for i, c := range d {
		for _, p := range c.Buckets {
			if ok, _ := path.Match(p, bucket); ok {
				return i + 1
			}
		}
	}
	return 0
}

// Map is what all gateways must have alike, as JSON.
func (d Division) Map() string {
	b, _ := json.Marshal(d) // of strings: never fails
	return string(b)
}

// Number is another one for another Map, with all likelihood.
func (d Division) Number() uint64 {
	sum := sha256.Sum256([]byte(d.Map()))
	return binary.BigEndian.Uint64(sum[:])
}

// check looks at the clusters beside the home.
func (d Division) check(home string, p *problems) {
	if len(d) == 0 {
		return
	}
	if home == "" {
		p.add("[[metadata-cluster]] without metadata: that names the home cluster, which has what belongs to no bucket")
	}
	if len(d) >= metadata.MaxPartitions {
		p.add("%d [[metadata-cluster]]: at most %d", len(d), metadata.MaxPartitions-1)
	}
	type known struct {
		name string
		cfg  etcdkv.Config
	}
	var seen []known
	if cfg, err := etcdkv.ParseURL(home); err == nil {
		seen = append(seen, known{HomeCluster, cfg})
	}
	names := map[string]bool{HomeCluster: true}
	for _, c := range d {
		if !nameForm.MatchString(c.Name) || names[c.Name] {
			p.add("metadata-cluster %q: want a name of its own of letters, digits, '.', '_' and '-', at most 63, and not %q", c.Name, HomeCluster)
		}
		names[c.Name] = true
		cfg, err := etcdkv.ParseURL(c.URL)
		if err != nil {
			p.add("metadata-cluster %q: %w", c.Name, err)
			continue
		}
		for _, o := range seen {
			if o.cfg.Prefix == cfg.Prefix && slices.ContainsFunc(cfg.Endpoints, func(e string) bool { return slices.Contains(o.cfg.Endpoints, e) }) {
				p.add("metadata-cluster %q is the same etcd cluster as %q: another cluster, or at least another prefix, is needed", c.Name, o.name)
			}
		}
		seen = append(seen, known{c.Name, cfg})
		if len(c.Buckets) == 0 || len(c.Buckets) > maxPatterns {
			p.add("metadata-cluster %q: buckets: want 1 to %d patterns such as \"scratch-*\"", c.Name, maxPatterns)
		}
		for _, pattern := range c.Buckets {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				p.add("metadata-cluster %q: buckets: %q is no pattern; *, ?, [a-f] and letters make one", c.Name, pattern)
			}
		}
	}
}
