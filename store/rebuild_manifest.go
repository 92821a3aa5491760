package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weftstore/weft/metadata"
)

// manifests imports objects in parts. A part is of the newest object whose manifest lists it:
// what an older manifest says of it, its own descriptor or the snapshot, is what the object
// was before. What the snapshot says is taken back before anything is imported, as what takes
// the place of another object makes its parts garbage.
func (rb *rebuild) manifests(ctx context.Context) error {
	var list []metadata.SetID
	for set, f := range rb.sets {
		if f.kind == kindManifest && rb.wanted(f) {
			list = append(list, set)
		}
	}
	slices.SortFunc(list, func(a, b metadata.SetID) int {
		return cmp.Or(cmp.Compare(rb.sets[b].made, rb.sets[a].made), bytes.Compare(a[:], b[:]))
	})
	list, err := rb.claims(ctx, list)
	if err != nil {
		return err
	}
	for _, set := range list {
		d, parts, err := rb.manifest(ctx, set)
		if err == nil {
			err = rb.c.Meta.ImportVersion(ctx, d.bucket, d.version, parts)
		}
		if err == nil {
			for i := range parts {
				rb.sets[parts[i].Set].known = true
			}
		}
		if err := rb.imported(ctx, set, d, err); err != nil {
			return err
		}
	}
	return nil
}

// claims gives the manifests that are to be imported, newest first, once nothing else in the
// metadata has their parts.
func (rb *rebuild) claims(ctx context.Context, list []metadata.SetID) ([]metadata.SetID, error) {
	var good []metadata.SetID
	by := make(map[metadata.SetID]metadata.SetID) // parts that the snapshot has, and their manifests
	owners := make(map[owner]bool)
	for _, set := range list {
		d, parts, err := rb.manifest(ctx, set)
		if err != nil {
			if err := rb.imported(ctx, set, d, err); err != nil {
				return nil, err
			}
			continue
		}
		if rb.superseded(parts) {
			rb.r.Ignored++
			continue
		}
		good = append(good, set)
		ref, ok, err := rb.begun(ctx, parts)
		if err != nil {
			return nil, err
		}
		if ok {
			owners[owner{ref, set}] = true
		}
		for i := range parts {
			f := rb.sets[parts[i].Set]
			if f.claimed = true; f.known {
				by[parts[i].Set] = set
			}
		}
	}
	newer, err := rb.disown(ctx, by, owners)
	return slices.DeleteFunc(good, func(set metadata.SetID) bool { return newer[set] }), err
}

// owner is what the snapshot may have in place of the object of a manifest.
type owner struct {
	ref      metadata.PartRef
	manifest metadata.SetID
}

// begun names the upload that an object came of: the snapshot may have it as under way, with
// other parts or none.
func (rb *rebuild) begun(ctx context.Context, parts []metadata.Part) (ref metadata.PartRef, ok bool, err error) {
	if !rb.r.Snapshot || len(parts) == 0 {
		return ref, false, nil
	}
	set := parts[0].Set
	d, err := rb.describe(ctx, set, rb.sets[set])
	if err != nil || d.kind != kindPart {
		return ref, false, over(ctx, err)
	}
	return metadata.PartRef{Key: d.key, Upload: d.upload}, true, nil
}

// disown takes parts from what the snapshot has them in, and more of owners away. newer are
// manifests that are older than that.
func (rb *rebuild) disown(ctx context.Context, by map[metadata.SetID]metadata.SetID, owners map[owner]bool) (newer map[metadata.SetID]bool, err error) {
	if len(by) > 0 {
		err = rb.walk(ctx, func(ref metadata.PartRef, p *metadata.Part) error {
			if set, ok := by[p.Set]; ok {
				ref.Number, ref.Set = 0, metadata.SetID{}
				owners[owner{ref, set}] = true
			}
			return nil
		})
	}
	newer = make(map[metadata.SetID]bool)
	for o := range owners {
		if err != nil {
			break
		}
		var d *descriptor
		if d, err = rb.describe(ctx, o.manifest, rb.sets[o.manifest]); err == nil {
			err = rb.c.Meta.Disown(ctx, d.bucket, o.ref, d.version)
		}
		switch {
		case errors.Is(err, metadata.ErrStale):
			rb.r.Ignored++
			newer[o.manifest], err = true, nil
		case errors.Is(err, metadata.ErrNoSuchBucket): // it is younger than the snapshot
			err = nil
		}
	}
	return newer, err
}

// superseded says that a newer manifest has parts of one.
func (rb *rebuild) superseded(parts []metadata.Part) bool {
	return slices.ContainsFunc(parts, func(p metadata.Part) bool { return rb.sets[p.Set].claimed })
}

// manifest reads a manifest and finds its parts. ErrDamaged when too little is there.
func (rb *rebuild) manifest(ctx context.Context, set metadata.SetID) (d *descriptor, parts []metadata.Part, err error) {
	f := rb.sets[set]
	if d, err = rb.describe(ctx, set, f); err != nil {
		return nil, nil, err
	}
	raw, err := rb.read(ctx, d.part) // by places
	if err != nil {
		return d, nil, err
	}
	if _, parts, err = metadata.DecodeManifest(raw); err != nil {
		return d, nil, err
	}
	for i := range parts {
		if err := rb.use(&parts[i], rb.sets[parts[i].Set]); err != nil {
			return d, nil, fmt.Errorf("part %d: %w", parts[i].Number, err)
		}
	}
	return d, parts, rb.use(d.part, f)
}
