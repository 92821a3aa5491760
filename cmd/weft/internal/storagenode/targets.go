package storagenode

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/weftstore/weft/cmd/weft/internal/statedir"
	"github.com/weftstore/weft/internal/vfs"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
)

const (
	knownFile    = "targets.json"
	knownVersion = 1
)

// Known is a target that was seen once.
type Known struct {
	UUID  node.TargetUUID
	Path  string
	Mount bool // Path was a mount point when it was first seen
	Added time.Time
}

// known is the table of targets, kept in the state directory.
type known struct {
	dir   *statedir.Dir
	isNew bool // there was no table
	rows  []Known
}

// knownRecord is a row as it is stored.
type knownRecord struct {
	UUID  string    `json:"uuid"`
	Path  string    `json:"path"`
	Mount bool      `json:"mount"`
	Added time.Time `json:"added"`
}

type knownTable struct {
	Version int           `json:"version"`
	Targets []knownRecord `json:"targets"`
}

func loadKnown(dir *statedir.Dir, also []Known) (*known, error) {
	k := &known{dir: dir}
	var t knownTable
	found, err := dir.ReadJSON(knownFile, &t)
	if err != nil {
		return nil, err
	}
	if found && t.Version != knownVersion {
		return nil, fmt.Errorf("%s: version %d was written by another release of weft", dir.Path(knownFile), t.Version)
	}
	k.isNew = !found && len(also) == 0
	for _, r := range t.Targets {
		uuid, err := hex.DecodeString(r.UUID)
		if err != nil || len(uuid) != 16 || r.Path == "" {
			return nil, fmt.Errorf("%s: target %q in %q: want 32 hexadecimal digits and a path", dir.Path(knownFile), r.UUID, r.Path)
		}
		k.rows = append(k.rows, Known{node.TargetUUID(uuid), r.Path, r.Mount, r.Added})
	}
	for _, a := range also {
		if k.byUUID(a.UUID) == nil && k.byPath(a.Path) == nil {
			k.rows = append(k.rows, a)
		}
	}
	return k, nil
}

func (k *known) save() error {
	t := knownTable{Version: knownVersion, Targets: make([]knownRecord, len(k.rows))}
	for i, r := range k.rows {
		t.Targets[i] = knownRecord{r.UUID.String(), r.Path, r.Mount, r.Added.UTC()}
	}
	return k.dir.WriteJSON(knownFile, t)
}

func (k *known) byUUID(id node.TargetUUID) *Known {
	for i := range k.rows {
		if k.rows[i].UUID == id {
			return &k.rows[i]
		}
	}
	return nil
}

func (k *known) byPath(path string) *Known {
	for i := range k.rows {
		if k.rows[i].Path == path {
			return &k.rows[i]
		}
	}
	return nil
}

// remember enters what is in dir, in place of what was there before.
func (k *known) remember(id node.TargetUUID, dir string) *Known {
	k.rows = slices.DeleteFunc(k.rows, func(r Known) bool { return r.Path == dir && r.UUID != id })
	if r := k.byUUID(id); r != nil {
		r.Path = dir
		return r
	}
	r := Known{UUID: id, Path: dir, Added: time.Now()}
	if info, err := node.InspectDir(dir); err == nil {
		r.Mount = info.Mount
	}
	k.rows = append(k.rows, r)
	return &k.rows[len(k.rows)-1]
}

// bringUp serves every directory. What it is follows from its superblock; one that
// is known and empty now waits for `weft admin repair`; a new one is formatted.
func (n *Node) bringUp(ctx context.Context) error {
	var err error
	if n.known, err = loadKnown(n.cfg.State, n.cfg.Known); err != nil {
		return err
	}
	var rows []Known
	var fresh []string
	at := map[node.TargetUUID]string{}
	for _, dir := range n.cfg.Targets {
		row, err := n.identify(ctx, dir)
		if err != nil {
			return err
		}
		if row == nil {
			fresh = append(fresh, dir)
			continue
		}
		if other, ok := at[row.UUID]; ok {
			return fmt.Errorf("%s and %s hold the same target %s: one is a copy, leave it out", other, dir, row.UUID)
		}
		at[row.UUID] = dir
		rows = append(rows, *row)
	}
	if n.known.isNew && len(rows) > 0 && len(fresh) > 0 {
		return fmt.Errorf("%s holds a target, %s is empty, and %s knows of neither: if a disk did not mount, mount it; "+
			"if the directory is new, start once without it, so that the others become known, and then add it",
			rows[0].Path, fresh[0], n.cfg.State.Path())
	}
	for _, dir := range fresh {
		id := statedir.RandomID()
		if err := n.format(dir, id); err != nil {
			return err
		}
		rows = append(rows, *n.known.remember(id, dir))
	}
	if err := n.known.save(); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, k := range n.cfg.Known {
		if !slices.ContainsFunc(rows, func(r Known) bool { return r.UUID == k.UUID }) {
			n.cfg.Logger.Warn("a target of this store is not among the directories that were named: what it holds is missing", "target", k.UUID, "dir", k.Path)
		}
	}
	for _, row := range n.inOrder(rows) {
		if err := n.serve(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// inOrder sorts rows as the directories were named.
func (n *Node) inOrder(rows []Known) []Known {
	var list []Known
	for _, dir := range n.cfg.Targets {
		for _, r := range rows {
			if r.Path == dir {
				list = append(list, r)
			}
		}
	}
	return list
}

// identify finds what is known of a directory; nil when it is new and may be formatted.
func (n *Node) identify(ctx context.Context, dir string) (*Known, error) {
	sb, err := n.look(ctx, dir)
	switch {
	case err == nil && sb.Deployment != n.cfg.Deployment:
		return nil, fmt.Errorf("target %s belongs to another Weft store: name another directory, or the store that it belongs to", dir)
	case err == nil:
		return n.known.remember(sb.Target, dir), nil
	}
	if row := n.known.byPath(dir); row != nil {
		return row, nil // missing, unreadable or replaced: the service watches for it
	}
	if !errors.Is(err, extent.ErrOffline) && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("target %s: %w", dir, err)
	}
	return nil, nil
}

// looked is what a look at a directory found.
type looked struct {
	sb  extent.Superblock
	err error
}

// look is ReadSuperblock, which is not waited for when the file system hangs. The next look at
// the directory waits for the same one.
func (n *Node) look(ctx context.Context, dir string) (extent.Superblock, error) {
	done := n.looks[dir]
	if done == nil {
		done = make(chan looked, 1)
		n.looks[dir] = done
		go func() {
			sb, err := ReadSuperblock(dir)
			done <- looked{sb, err}
		}()
	}
	select {
	case l := <-done:
		delete(n.looks, dir)
		return l.sb, l.err
	case <-ctx.Done():
		return extent.Superblock{}, ctx.Err()
	case <-time.After(lookFor):
		return extent.Superblock{}, fmt.Errorf("no answer within %v: its file system hangs", lookFor)
	}
}

func (n *Node) format(dir string, target [16]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("target %s: %w", dir, err)
	}
	err := n.service.Format(dir, n.identity(target), node.FormatOptions{})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("target %s holds other files and no Weft target; name an empty directory", dir)
	}
	return err
}

// ReadSuperblock looks at a directory without opening the target.
func ReadSuperblock(dir string) (extent.Superblock, error) {
	root, err := vfs.NewOS(dir)
	if err != nil {
		return extent.Superblock{}, err
	}
	return extent.ReadSuperblock(root)
}

// FindDeployment reads whose targets the directories are; false when none is
// formatted.
func FindDeployment(dirs []string) (id [16]byte, found bool, err error) {
	for _, d := range dirs {
		sb, err := ReadSuperblock(d)
		if err != nil {
			continue
		}
		if found && sb.Deployment != id {
			return id, false, fmt.Errorf("the directories belong to different Weft stores; %s is the odd one", d)
		}
		id, found = sb.Deployment, true
	}
	return id, found, nil
}
