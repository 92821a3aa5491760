package metadata

import "context"

// AttrRename is the attribute that says which request renamed an object, so that a
// repetition of it is known as one.
const AttrRename = "rename"

// Rename moves the current version of one key to another key of its bucket.
type Rename struct {
	From, To string
	Source   Condition // on what From has
	Dest     Condition // on what To has
	// Seen is the version of From that Manifest was made of.
	Seen VersionID
	// ID of the version at To, from NewVersionID: it counts as put when it was renamed.
	ID VersionID
	// Manifest says on the targets what the object is called and of which parts it is.
	Manifest *Part
	// Token is the client's name for the request, "" for none, and Params what it asks for.
	Token, Params string
}

func (r *Rename) attr() string { return r.Token + " " + r.Params }

// repeated says whether the request made what To has now. ErrTokenReused when another one
// with its token did.
func (r *Rename) repeated(cur *Version) (bool, error) {
	if r.Token == "" || cur == nil {
		return false, nil
	}
	is := cur.Attrs[AttrRename]
	if is == r.attr() {
		return true, nil
	}
	if len(is) > len(r.Token) && is[:len(r.Token)+1] == r.Token+" " {
		return false, ErrTokenReused
	}
	return false, nil
}

// Rename renames an object in a bucket that was never versioned. What To had becomes
// garbage, as does the manifest before; all else stays as it is, chunks too. A part that
// stood in the version's record is afterwards part 1 under the upload id that its set's id
// makes, so that whoever knows the set finds it. Renaming again with the same token, when
// To still has what came of it, changes nothing; Rename then returns true.
//
// ErrNoSuchBucket, ErrVersioned; ErrNoSuchKey without an object at From, and for If-Match
// without one at To; ErrPrecondition, ErrLocked, ErrTokenReused, ErrInvalidKey, also for
// From = To; ErrStale when From has another version than Seen.
func (db *DB) Rename(ctx context.Context, bucket string, r *Rename) (repeated bool, err error) {
	err = db.updateIn(ctx, "rename object", bucket, func(t Txn, s *scratch, b *Bucket) error {
		if b.Versioning != Unversioned {
			return ErrVersioned
		}
		if r.From == r.To {
			return ErrInvalidKey
		}
		from, err := db.openObject(t, s, b, r.From)
		if err != nil {
			return err
		}
		to, err := db.openObject(t, s, b, r.To)
		if err != nil {
			return err
		}
		if repeated, err = r.repeated(to.cur); repeated || err != nil {
			return err
		}
		if err := r.check(&from, &to); err != nil {
			return err
		}
		return db.rename(ctx, r, &from, &to)
	})
	return repeated, err
}

// Renamed says whether the request, which has a token, was carried out before and To still
// has what came of it. ErrTokenReused, ErrNoSuchBucket.
func (db *DB) Renamed(ctx context.Context, bucket string, r *Rename) (done bool, err error) {
	if r.Token == "" {
		return false, nil
	}
	err = db.viewIn(ctx, "look for an earlier rename", bucket, func(t Reader, s *scratch, b *Bucket) error {
		cur, err := readCurrent(t, s, b.ID, r.To)
		if err == nil {
			done, err = r.repeated(cur)
		}
		return err
	})
	return done, err
}

func (r *Rename) check(from, to *object) error {
	if from.cur == nil {
		return ErrNoSuchKey
	}
	if err := r.Source.check(from.cur); err != nil {
		return err
	}
	if err := r.Dest.check(to.cur); err != nil {
		return err
	}
	if from.cur.ID != r.Seen {
		return ErrStale
	}
	if !from.cur.Lock.IsZero() || from.cur.LockPart != nil {
		return ErrLocked
	}
	return nil
}

func (db *DB) rename(ctx context.Context, r *Rename, from, to *object) error {
	old, before := from.cur, to.cur
	if err := to.replaceNull(); err != nil {
		return err
	}
	if err := from.removeCurrent(); err != nil {
		return err
	}
	if old.Manifest != nil {
		if err := db.queueSet(to.t, to.s, old.Manifest.Set, old.Manifest.Targets); err != nil {
			return err
		}
	}
	v := *old
	v.Key, v.ID, v.Manifest = r.To, r.ID, r.Manifest
	v.Attrs = r.attrs(old)
	if err := to.unfold(&v); err != nil {
		return err
	}
	if err := to.setCurrent(&v); err != nil {
		return err
	}
	if err := db.note(ctx, to.t, to.s, to.bucket, ChangeRemoved, old, old); err != nil {
		return err
	}
	return db.note(ctx, to.t, to.s, to.bucket, ChangePut, &v, before)
}

// attrs are those of the version with the token of the request.
func (r *Rename) attrs(old *Version) map[string]string {
	attrs := make(map[string]string, len(old.Attrs)+1)
	for name, value := range old.Attrs {
		if name != AttrRename {
			attrs[name] = value
		}
	}
	if r.Token != "" {
		attrs[AttrRename] = r.attr()
	}
	return attrs
}

// Renamed is what the version v of From will be at To, for the manifest.
func (r *Rename) Renamed(v *Version) *Version {
	out := *v
	out.Key, out.ID, out.Inline, out.Manifest, out.Attrs = r.To, r.ID, nil, nil, r.attrs(v)
	if v.Inline != nil {
		out.Upload = UploadOf(v.Inline.Set)
	}
	return &out
}

// UploadOf is the upload id under which the part of an object that was put in one piece, with
// this set, is kept when it cannot stay in the version's record. It stays part 1 there.
func UploadOf(set SetID) UploadID { return UploadID(set) }

// unfold takes the part of a version out of its record.
func (o *object) unfold(v *Version) error {
	p := v.Inline
	if p == nil {
		return nil
	}
	v.Inline, v.Upload = nil, UploadOf(p.Set)
	if err := putPart(o.t, o.s, v.Upload, p); err != nil {
		return err
	}
	return putContents(o.t, o.s, v.Upload, contents{{p.Number, p.Size}})
}
