package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/weftstore/weft/internal/vfs"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/node"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/store"
)

// bringUp formats new directories, registers every target and has the node
// serve them. What a directory is follows from its superblock; one that was
// known under its path and is empty now waits for `weft admin repair`.
func (s *Server) bringUp(ctx context.Context) error {
	known, err := s.meta.Targets(ctx)
	if err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	byUUID, byPath := map[[16]byte]metadata.Target{}, map[string]metadata.Target{}
	for _, t := range known {
		byUUID[t.UUID], byPath[t.Path] = t, t
	}
	named := map[metadata.TargetID]bool{}
	for _, dir := range s.cfg.Targets {
		t, err := s.identify(ctx, dir, byUUID, byPath)
		if err != nil {
			return err
		}
		named[t.ID] = true
		opts := node.AddOptions{Expect: node.TargetUUID(t.UUID), Deployment: s.deployment, WasMount: t.Mount}
		if _, err := s.node.Add(ctx, dir, opts); err != nil {
			return fmt.Errorf("target %s: %w", dir, err)
		}
		s.addTarget(t, s.client.Target(node.TargetUUID(t.UUID)))
	}
	for _, t := range known {
		if !named[t.ID] && !t.Retired {
			s.log.Warn("a target that holds data was not named; its shards count as missing", "target", t.Path)
			s.addTarget(t, nil)
		}
	}
	return nil
}

func (s *Server) addTarget(t metadata.Target, target store.Target) {
	s.targets = append(s.targets, store.TargetConfig{ID: t.ID, UUID: t.UUID, Name: t.Path, Target: target})
}

// identify finds the row of the targets table that dir is, and formats dir when
// it is new and empty.
func (s *Server) identify(ctx context.Context, dir string, byUUID map[[16]byte]metadata.Target, byPath map[string]metadata.Target) (metadata.Target, error) {
	sb, err := readSuperblock(dir)
	switch {
	case err == nil && sb.Deployment != s.deployment:
		return metadata.Target{}, fmt.Errorf("target %s belongs to another Weft store; give that store's --state, or another directory", dir)
	case err == nil:
		t, ok := byUUID[sb.Target]
		if !ok {
			return s.register(ctx, dir, sb.Target)
		}
		if t.Path != dir {
			t.Path = dir
			return t, s.meta.SetTarget(ctx, t)
		}
		return t, nil
	}
	if t, ok := byPath[dir]; ok {
		return t, nil // missing, unreadable or replaced: the node watches for it
	}
	if !errors.Is(err, extent.ErrOffline) && !errors.Is(err, fs.ErrNotExist) {
		return metadata.Target{}, fmt.Errorf("target %s: %w", dir, err)
	}
	id := randomID()
	if err := s.format(dir, id, false); err != nil {
		return metadata.Target{}, err
	}
	return s.register(ctx, dir, id)
}

func (s *Server) register(ctx context.Context, dir string, uuid [16]byte) (metadata.Target, error) {
	id, err := s.meta.AddTarget(ctx, uuid, dir)
	if err != nil {
		return metadata.Target{}, fmt.Errorf("target %s: %w", dir, err)
	}
	t := metadata.Target{ID: id, UUID: uuid, Path: dir, Added: s.now()}
	if info, err := node.InspectDir(dir); err == nil {
		t.Mount = info.Mount
	}
	return t, s.meta.SetTarget(ctx, t)
}

func (s *Server) format(dir string, target [16]byte, wasMount bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("target %s: %w", dir, err)
	}
	err := s.node.Format(dir, extent.Identity{Deployment: s.deployment, Target: target}, node.FormatOptions{WasMount: wasMount})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("target %s holds other files and no Weft target; name an empty directory", dir)
	}
	return err
}

// formatReplaced formats known targets whose directory is empty now, so that
// repair can fill them again.
func (s *Server) formatReplaced(ctx context.Context) error {
	rows, err := s.meta.Targets(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range rows {
		if _, err := readSuperblock(t.Path); t.Retired || err == nil {
			continue
		}
		info, err := node.InspectDir(t.Path)
		if err != nil || !info.Empty {
			continue
		}
		if err := os.Remove(s.state.path(indexDir, indexName(t.UUID))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		if err := s.format(t.Path, t.UUID, t.Mount); err != nil {
			errs = append(errs, err)
			continue
		}
		s.log.Warn("formatted a replaced target", "target", t.Path)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.awaitOnline(ctx)
}

// readSuperblock looks at a directory without opening the target.
func readSuperblock(dir string) (extent.Superblock, error) {
	root, err := vfs.NewOS(dir)
	if err != nil {
		return extent.Superblock{}, err
	}
	return extent.ReadSuperblock(root)
}

func indexName(uuid [16]byte) string { return node.TargetUUID(uuid).String() + ".index" }

// awaitOnline gives targets that are right on disk the time to be noticed, and
// has the store forget that they failed: its back-off can be longer than a repair.
func (s *Server) awaitOnline(ctx context.Context) error {
	right := map[node.TargetUUID]bool{}
	for _, t := range s.targets {
		sb, err := readSuperblock(t.Name)
		right[node.TargetUUID(t.UUID)] = err == nil && sb.Target == t.UUID
	}
	late := func(t node.TargetStatus) bool { return right[t.ID] && t.State != node.Online && t.State != node.Full }
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var all []node.TargetStatus
	for range onlineTries {
		var err error
		if all, err = s.client.Status(ctx); err != nil {
			return err
		}
		if !slices.ContainsFunc(all, late) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, h := range s.store.Health() {
		i := slices.IndexFunc(s.targets, func(t store.TargetConfig) bool { return t.ID == h.ID })
		if i < 0 || h.Usable || !h.Present {
			continue
		}
		served := func(t node.TargetStatus) bool {
			return t.ID == node.TargetUUID(s.targets[i].UUID) && t.State == node.Online
		}
		if slices.ContainsFunc(all, served) {
			s.store.SetTarget(s.targets[i])
		}
	}
	return nil
}

// onlineTries bounds awaitOnline to a few health checks of a target.
const onlineTries = 60

// findDeployment reads whose targets the directories are; false when none is
// formatted.
func findDeployment(dirs []string) (id [16]byte, found bool, err error) {
	for _, d := range dirs {
		sb, err := readSuperblock(d)
		if err != nil {
			continue
		}
		if found && sb.Deployment != id {
			return id, false, fmt.Errorf("the directories belong to different Weft stores; %s is the odd one", filepath.Clean(d))
		}
		id, found = sb.Deployment, true
	}
	return id, found, nil
}
