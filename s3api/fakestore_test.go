package s3api

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

// fakeObjects keeps bytes in a map and everything else in the real metadata.DB.
type fakeObjects struct {
	db   *metadata.DB
	mu   sync.Mutex
	data map[metadata.SetID][]byte
	keys map[metadata.SetID]store.Key // of parts that are sealed
	next uint64
	puts atomic.Int64 // bodies that were read to their end and kept

	failRead  error // of Object.Read
	failAfter int64 // bytes after which a Stream fails; 0 never
	failPut   error
}

func newFakeObjects(db *metadata.DB) *fakeObjects {
	return &fakeObjects{db: db, data: map[metadata.SetID][]byte{}, keys: map[metadata.SetID]store.Key{}}
}

func (f *fakeObjects) keep(body io.Reader, size int64, a checksum.Algorithm, check func(store.Sums) error) (metadata.Part, store.Sums, error) {
	var sums store.Sums
	if f.failPut != nil {
		return metadata.Part{}, sums, f.failPut
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return metadata.Part{}, sums, err
	}
	if int64(len(b)) != size {
		return metadata.Part{}, sums, store.ErrShortBody
	}
	if a == checksum.None {
		a = checksum.CRC64NVME
	}
	h := a.New()
	h.Write(b)
	sums.MD5 = md5.Sum(b)
	sums.Digest = metadata.Digest{Algorithm: a, Type: checksum.FullObject, Sum: h.Sum(nil)}
	if check != nil {
		if err := check(sums); err != nil {
			return metadata.Part{}, sums, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	var set metadata.SetID
	binary.BigEndian.PutUint64(set[8:], f.next)
	f.data[set] = b
	f.puts.Add(1)
	return metadata.Part{Number: 1, Set: set, K: 1, Block: 1 << 20, Size: size, Targets: []metadata.TargetID{1}, MD5: sums.MD5, Digest: sums.Digest}, sums, nil
}

func (f *fakeObjects) Put(ctx context.Context, r *store.PutRequest) (*store.PutResult, error) {
	part, sums, err := f.keep(r.Body, r.Size, r.Algorithm, r.Check)
	if err != nil {
		return nil, err
	}
	if r.AppendTo != nil {
		return f.append(ctx, r, &part)
	}
	v := &metadata.Version{Key: r.Key, ID: f.db.NewVersionID(), Modified: testTime, Size: r.Size, MD5: sums.MD5, Digest: sums.Digest,
		Headers: r.Headers, UserMeta: r.UserMeta, Tags: r.Tags, Lock: r.Lock, Attrs: r.Attrs}
	f.lock(r.Seal, &part)
	v.MD5, sums.MD5 = part.MD5, part.MD5
	if r.Size > 0 {
		v.Inline = &part
	}
	res, err := f.db.Put(ctx, r.Bucket, v, r.Cond)
	if err != nil {
		return nil, err
	}
	return &store.PutResult{ETag: v.ETag(), VersionID: res.VersionID, Sums: sums, Size: r.Size, Modified: v.Modified}, nil
}

func (f *fakeObjects) append(ctx context.Context, r *store.PutRequest, part *metadata.Part) (*store.PutResult, error) {
	v := *r.AppendTo
	parts, err := f.db.AllParts(ctx, &v)
	if err != nil {
		return nil, err
	}
	f.lock(r.Seal, part)
	if v.Inline != nil {
		v.Upload, v.Inline = metadata.UploadOf(v.Inline.Set), nil
	}
	part.Number = uint16(len(parts) + 1)
	parts = append(parts, *part)
	v.ID, v.Size, v.PartCount, v.MD5 = f.db.NewVersionID(), v.Size+r.Size, len(parts), metadata.MultipartMD5(parts)
	if err := f.db.Append(ctx, r.Bucket, r.AppendTo.ID, &v, part, r.Cond); err != nil {
		return nil, err
	}
	return &store.PutResult{ETag: v.ETag(), Size: v.Size, Sums: store.Sums{MD5: v.MD5, Digest: v.Digest}}, nil
}

func (f *fakeObjects) PutPart(ctx context.Context, r *store.PartRequest) (*store.PutResult, error) {
	u, err := f.db.Upload(ctx, r.Bucket, r.Key, r.Upload)
	if err != nil {
		return nil, err
	}
	if r.Algorithm == checksum.None {
		r.Algorithm = u.Algorithm
	}
	part, sums, err := f.keep(r.Body, r.Size, r.Algorithm, r.Check)
	if err != nil {
		return nil, err
	}
	f.lock(r.Seal, &part)
	sums.MD5 = part.MD5
	part.Number, part.Modified = uint16(r.Number), testTime
	if err := f.db.PutPart(ctx, r.Bucket, r.Key, r.Upload, &part); err != nil {
		return nil, err
	}
	v := metadata.Version{MD5: sums.MD5}
	return &store.PutResult{ETag: v.ETag(), Sums: sums, Size: r.Size, Modified: part.Modified}, nil
}

func (f *fakeObjects) Complete(ctx context.Context, r *store.CompleteRequest) (*store.PutResult, error) {
	parts, u, err := f.db.PrepareComplete(ctx, r.Bucket, r.Key, r.Upload, r.Parts)
	if done, ok := errors.AsType[*metadata.CompletedError](err); ok {
		v := done.Version
		return &store.PutResult{ETag: v.ETag(), VersionID: done.Result.VersionID, Sums: store.Sums{MD5: v.MD5, Digest: v.Digest}, Size: v.Size, Attrs: v.Attrs}, nil
	}
	if err != nil {
		return nil, err
	}
	v := u.Template
	v.Key, v.ID, v.Modified, v.PartCount, v.Upload = r.Key, f.db.NewVersionID(), testTime, len(parts), r.Upload
	if v.Lock.Mode == metadata.LockNone {
		v.Lock.Mode, v.Lock.Until = r.Lock.Mode, r.Lock.Until
	}
	var md5s []byte
	var digests [][]byte
	for i := range parts {
		v.Size += parts[i].Size
		md5s = append(md5s, parts[i].MD5[:]...)
		digests = append(digests, parts[i].Digest.Sum)
	}
	v.MD5 = md5.Sum(md5s)
	if u.Type == checksum.Composite {
		v.Digest = metadata.Digest{Algorithm: u.Algorithm, Type: u.Type, Sum: u.Algorithm.CompositeOf(digests...)}
	}
	if r.Check != nil {
		if err := r.Check(store.Sums{MD5: v.MD5, Digest: v.Digest}, v.Size); err != nil {
			return nil, err
		}
	}
	res, err := f.db.Complete(ctx, r.Bucket, r.Key, r.Upload, r.Parts, &v, r.Cond)
	if err != nil {
		return nil, err
	}
	return &store.PutResult{ETag: v.ETag(), VersionID: res.VersionID, Sums: store.Sums{MD5: v.MD5, Digest: v.Digest}, Size: v.Size, Attrs: v.Attrs}, nil
}

func (f *fakeObjects) Rename(ctx context.Context, r *store.RenameRequest) error {
	m := &metadata.Rename{From: r.From, To: r.To, Source: r.Source, Dest: r.Dest, ID: f.db.NewVersionID(), Token: r.Token, Params: r.Params}
	if v, _, err := f.db.Get(ctx, r.Bucket, r.From, ""); err == nil {
		m.Seen = v.ID
	}
	_, err := f.db.Rename(ctx, r.Bucket, m)
	return err
}

func (f *fakeObjects) SetLock(ctx context.Context, bucket, key, versionID string, c metadata.LockChange) (string, error) {
	v, _, err := f.db.Get(ctx, bucket, key, versionID)
	if err != nil {
		return "", err
	}
	want, err := c.Apply(v.Lock, time.Now())
	if err != nil {
		return "", err
	}
	return f.db.SetLock(ctx, bucket, key, versionID, c, want, nil)
}

func (f *fakeObjects) Open(ctx context.Context, bucket, key, versionID string) (Object, error) {
	v, b, err := f.db.Get(ctx, bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	id := v.ID.String()
	switch {
	case b.Versioning == metadata.Unversioned:
		id = ""
	case v.Null:
		id = "null"
	}
	return &fakeObject{f: f, v: v, id: id}, nil
}

type fakeObject struct {
	f  *fakeObjects
	v  *metadata.Version
	id string

	key *[32]byte
}

func (o *fakeObject) Info() (*metadata.Version, string) { return o.v, o.id }
func (o *fakeObject) Close()                            {}
func (o *fakeObject) Unlock(key *[32]byte)              { o.key = key }

// lock remembers the key of a part, which Read demands.
func (f *fakeObjects) lock(s *store.Seal, p *metadata.Part) {
	if s != nil {
		f.mu.Lock()
		f.keys[p.Set], p.Sealed = s.Key, true
		if s.Opaque {
			p.MD5[0]++
		}
		f.mu.Unlock()
	}
}

// part gives the bytes of a part, ErrDamaged with a wrong key.
func (o *fakeObject) part(p *metadata.Part) ([]byte, error) {
	key, sealed := o.f.keys[p.Set]
	if sealed != (o.key != nil) || sealed && key != store.Key(*o.key) {
		return nil, store.ErrDamaged
	}
	return o.f.data[p.Set], nil
}

func (o *fakeObject) Part(ctx context.Context, number int) (int64, int64, *metadata.Part, error) {
	span, err := o.f.db.PartByNumber(ctx, o.v, number)
	return span.Start, span.Part.Size, &span.Part, err
}

func (o *fakeObject) Parts(ctx context.Context, after, limit int) ([]metadata.Part, bool, error) {
	spans, err := o.f.db.PartsFor(ctx, o.v, 0, o.v.Size)
	if err != nil {
		return nil, false, err
	}
	var parts []metadata.Part
	for i := range spans {
		if int(spans[i].Part.Number) <= after {
			continue
		}
		if len(parts) == limit {
			return parts, true, nil
		}
		parts = append(parts, spans[i].Part)
	}
	return parts, false, nil
}

func (o *fakeObject) Read(ctx context.Context, off, n int64) (Stream, error) {
	if o.f.failRead != nil {
		return nil, o.f.failRead
	}
	var all []byte
	o.f.mu.Lock()
	defer o.f.mu.Unlock()
	if o.v.Inline != nil {
		var err error
		if all, err = o.part(o.v.Inline); err != nil {
			return nil, err
		}
	} else {
		spans, err := o.f.db.PartsFor(ctx, o.v, 0, o.v.Size)
		if err != nil {
			return nil, err
		}
		for i := range spans {
			one, err := o.part(&spans[i].Part)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
	}
	s := &fakeStream{}
	s.Reset(all[off : off+n])
	s.failAfter = o.f.failAfter
	return s, nil
}

type fakeStream struct {
	bytes.Reader
	failAfter int64
}

func (s *fakeStream) Close() error { return nil }

func (s *fakeStream) WriteTo(w io.Writer) (int64, error) {
	if s.failAfter > 0 {
		n, err := io.CopyN(w, &s.Reader, s.failAfter)
		if err != nil {
			return n, err
		}
		return n, store.ErrDamaged
	}
	return s.Reader.WriteTo(w)
}
