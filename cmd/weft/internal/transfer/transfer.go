// Package transfer moves the metadata of a store between state directories, etcd and
// files: [Export], [Import] and [Migrate]. Each compares every pair at the end, and may
// be run again when it was cut short: what is there already is compared and not written
// again, and what is incomplete has no name under which anybody would use it.
//
// A state directory is locked meanwhile. etcd is closed to gateways while it is written
// (package member), and for good when the metadata moved away from it.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/metadata"
)

// Suffixes of the database in a state directory.
const (
	partial  = ".partial"  // being written
	migrated = ".migrated" // moved to etcd
)

// Place is where metadata is: in etcd when URL is set, else in the state directory.
type Place struct {
	State      string
	URL        string
	Division   cluster.Division // the etcd clusters that share it with that at URL
	Deployment [16]byte
}

// Report is told of the progress, in batches.
type Report func(phase string, c metadata.Copied)

// Export writes a snapshot of the metadata to a new file. Gateways on etcd may go on:
// the snapshot is of one moment.
func Export(ctx context.Context, from Place, file string, report Report) (_ metadata.Copied, err error) {
	var done metadata.Copied
	src, err := openSource(ctx, from)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return done, fmt.Errorf("%s is there already: name another file, or remove it", file)
	}
	f, err := os.OpenFile(file+partial, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return done, err
	}
	defer f.Close()
	w := &counter{f: f, report: report}
	if err := src.meta.DB.SnapshotTo(ctx, w); err != nil {
		return done, err
	}
	if err := f.Sync(); err != nil {
		return done, err
	}
	// What can be read again, checksums and all, is what was written.
	err = metadata.SourceIn(f)(ctx, func(k, v []byte) error {
		done.Pairs, done.Bytes = done.Pairs+1, done.Bytes+int64(len(k)+len(v))
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("%s cannot be read again: %w", f.Name(), err)
	}
	return done, statedir.Rename(f.Name(), file)
}

// counter reports what passes.
type counter struct {
	f      *os.File
	report Report
	done   metadata.Copied
}

func (w *counter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if w.done.Bytes += int64(n); w.report != nil {
		w.report("export", w.done)
	}
	return n, err
}

// Import writes what Export wrote to a place that has no metadata.
func Import(ctx context.Context, file string, to Place, report Report) (_ metadata.Copied, err error) {
	f, err := os.Open(file)
	if err != nil {
		return metadata.Copied{}, err
	}
	defer f.Close()
	name, err := filepath.Abs(file)
	if err != nil {
		return metadata.Copied{}, err
	}
	dst, err := openDestination(ctx, to, "an import of "+name+" is not complete: run it again")
	if err != nil {
		return metadata.Copied{}, err
	}
	return dst.fill(ctx, metadata.SourceIn(f), report)
}

// Migrate moves metadata: from a state directory to etcd, or from etcd to a state
// directory. What is left behind cannot be used by mistake: the database in the state
// directory is renamed, and etcd stays closed.
func Migrate(ctx context.Context, from, to Place, report Report) (_ metadata.Copied, err error) {
	var none metadata.Copied
	if (from.URL == "") == (to.URL == "") {
		return none, errors.New("name one state directory and one etcd URL")
	}
	src, err := openSource(ctx, from)
	if err != nil {
		return none, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	host, err := os.Hostname()
	if err != nil {
		return none, err
	}
	dst, err := openDestination(ctx, to, fmt.Sprintf("the move of %s on host %s to it is not complete: run it again", from.State, host))
	if err != nil {
		return none, err
	}
	if from.URL != "" { // not before it is known that there is where to
		_, err := src.meta.Seal(ctx, from.Deployment, fmt.Sprintf("it moved to the state directory %s on host %s", to.State, host))
		if err != nil {
			return none, errors.Join(err, dst.close())
		}
	}
	if src.migrated && !dst.seal.Again() {
		return none, errors.Join(fmt.Errorf("%s was moved to etcd before", from.State), dst.seal.Open(ctx), dst.close())
	}
	if from.URL == "" {
		path := src.state.Path(gateway.MetadataFile)
		dst.before = func() error {
			if src.migrated {
				return nil
			}
			return statedir.Rename(path, path+migrated)
		}
	}
	return dst.fill(ctx, metadata.SourceOfAll(src.meta.Engines()), report)
}

// source is opened metadata to read.
type source struct {
	state    *statedir.Dir
	meta     *gateway.Metadata
	migrated bool // it is what an earlier Migrate left
}

func openSource(ctx context.Context, p Place) (_ *source, err error) {
	s := new(source)
	if p.URL != "" {
		if s.meta, err = gateway.OpenEtcd(ctx, p.URL, p.Deployment, p.Division); err != nil {
			return nil, err
		}
		err := s.meta.Whole(ctx)
		if err == nil {
			err = hasMetadata(ctx, s.meta.Clusters[0])
		}
		if err != nil {
			return nil, errors.Join(err, s.meta.Close())
		}
		return s, nil
	}
	if _, err := os.Stat(p.State); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no metadata in %s: %w", p.State, err) // opening it would make it
	}
	if s.state, err = statedir.Open(p.State); err != nil {
		return nil, err
	}
	path := s.state.Path(gateway.MetadataFile)
	if !gateway.Exists(s.state) {
		if _, serr := os.Stat(path + migrated); serr != nil {
			return nil, errors.Join(fmt.Errorf("no metadata in %s", p.State), s.state.Close())
		}
		path, s.migrated = path+migrated, true
	}
	if s.meta, err = gateway.OpenMetadata(path); err != nil {
		return nil, errors.Join(err, s.state.Close())
	}
	return s, nil
}

// hasMetadata is nil when there is any: a wrong prefix is no empty store.
func hasMetadata(ctx context.Context, home gateway.EtcdCluster) error {
	found := false
	err := home.KV.View(ctx, func(r metadata.Reader) error {
		found = false
		return r.Scan(nil, nil, func(_, _ []byte) bool { found = true; return false })
	})
	if err == nil && !found {
		err = fmt.Errorf("no metadata in etcd below %q", home.Prefix)
	}
	return err
}

func (s *source) close() error {
	err := s.meta.Close()
	if s.state != nil {
		err = errors.Join(err, s.state.Close())
	}
	return err
}

// destination is where metadata is written.
type destination struct {
	state    *statedir.Dir // nil in etcd
	meta     *gateway.Metadata
	seal     gateway.Seals // nil in a state directory
	division cluster.Division
	before   func() error // what is done when all is there and before it can be used
}

func openDestination(ctx context.Context, p Place, why string) (_ *destination, err error) {
	d := new(destination)
	if p.URL != "" {
		if d.meta, err = gateway.OpenEtcd(ctx, p.URL, p.Deployment, p.Division); err != nil {
			return nil, err
		}
		d.division = p.Division
		if d.seal, err = d.meta.Seal(ctx, p.Deployment, why); err != nil {
			return nil, errors.Join(err, d.meta.Close())
		}
		return d, nil
	}
	if d.state, err = statedir.Open(p.State); err != nil {
		return nil, err
	}
	path := d.state.Path(gateway.MetadataFile)
	if gateway.Exists(d.state) {
		return nil, errors.Join(fmt.Errorf("%s is there already: move it away first", path), d.state.Close())
	}
	if d.meta, err = gateway.OpenMetadata(path + partial); err != nil {
		return nil, errors.Join(err, d.state.Close())
	}
	return d, nil
}

func (d *destination) close() error {
	err := d.meta.Close()
	if d.state != nil {
		err = errors.Join(err, d.state.Close())
	}
	return err
}

// copy divides what is copied among the clusters.
func (d *destination) copy(ctx context.Context, from metadata.Source, report Report) (sum metadata.Copied, err error) {
	engines := d.meta.Engines()
	sources, err := metadata.Split(ctx, from, len(engines), d.division.Place)
	for i, source := range sources {
		c, err := metadata.Copy(ctx, source, engines[i], report)
		sum.Pairs, sum.Bytes, sum.Written = sum.Pairs+c.Pairs, sum.Bytes+c.Bytes, sum.Written+c.Written
		if err != nil {
			return sum, err
		}
	}
	return sum, err
}

// fill copies, compares, and lets the metadata be used. It closes the destination.
func (d *destination) fill(ctx context.Context, from metadata.Source, report Report) (metadata.Copied, error) {
	c, err := d.copy(ctx, from, report)
	if errors.Is(err, metadata.ErrOther) && c.Written == 0 && d.seal != nil && !d.seal.Again() {
		err = errors.Join(err, d.seal.Open(ctx)) // it is in use, and nothing was changed
	}
	if err == nil && d.before != nil {
		err = d.before()
	}
	if err == nil && d.seal != nil {
		err = d.seal.Open(ctx)
	}
	err = errors.Join(err, d.meta.Close())
	if d.state == nil {
		return c, err
	}
	if err == nil {
		path := d.state.Path(gateway.MetadataFile)
		err = statedir.Rename(path+partial, path)
	}
	return c, errors.Join(err, d.state.Close())
}
