package metadata_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
	"github.com/weftstore/weft/metadata/memkv"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of TestModel; 0: a new one")
	stepsFlag = flag.Int("steps", 3000, "steps of TestModel")
)

// The model knows S3's rules in their simplest form: a key has a list of versions,
// newest first; a listing is a loop over all of them. Every answer of the DB is
// compared with the model's. Every chunk set that was ever put must, at any time,
// be either in a walk or in the garbage queue, and in one of them only.

type modelVersion struct {
	key    string
	id     metadata.VersionID
	null   bool
	marker bool
	etag   string
	size   int64
	tags   map[string]string
	upload metadata.UploadID
	sets   []metadata.SetID
	// manifest is one of sets, or zero.
	manifest metadata.SetID
}

func (v *modelVersion) show() string {
	if v.null {
		return "null"
	}
	return v.id.String()
}

type modelUpload struct {
	key   string
	id    metadata.UploadID
	parts map[uint16]*metadata.Part
}

type model struct {
	t       *testing.T
	rnd     *rand.Rand
	db      *metadata.DB
	state   metadata.VersioningState
	fixed   bool // state stays
	keys    map[string][]*modelVersion
	uploads []*modelUpload
	done    []*modelUpload // completed
	garbage map[metadata.SetID]bool
	slow    []metadata.VersionID // made and not used yet
	sets    uint64
	log     []string
}

func TestModel(t *testing.T) {
	engines := map[string]func(*testing.T) metadata.KV{
		"memkv": func(*testing.T) metadata.KV { return memkv.New() },
		"boltkv": func(t *testing.T) metadata.KV {
			kv, err := boltkv.OpenWith(filepath.Join(t.TempDir(), "kv"), boltkv.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { kv.Close() })
			return kv
		},
		"etcdkv": openEtcd,
	}
	dbs := map[string]func(*testing.T) *metadata.DB{
		"partitions": func(t *testing.T) *metadata.DB {
			db := partitioned(t, memkv.New(), memkv.New(), memkv.New())
			if _, err := db.CreateBucket(t.Context(), "b", ""); err != nil {
				t.Fatal(err)
			}
			return db
		},
	}
	for name, open := range engines {
		dbs[name] = func(t *testing.T) *metadata.DB { return newDB(t, open(t)) }
	}
	for name, open := range dbs {
		for _, fixed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,fixed=%v", name, fixed), func(t *testing.T) { runModel(t, open, name, fixed) })
		}
	}
}

func runModel(t *testing.T, open func(*testing.T) *metadata.DB, name string, fixed bool) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -seed=%d -steps=%d", seed, *stepsFlag)
	m := &model{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), keys: map[string][]*modelVersion{},
		garbage: map[metadata.SetID]bool{}, db: open(t), fixed: fixed,
	}
	steps := *stepsFlag
	if name == "etcdkv" {
		steps /= 5 // it syncs each
	}
	for i := range steps {
		m.step()
		if i%50 == 0 {
			m.checkAll()
		}
		if t.Failed() {
			t.Fatalf("seed %d, step %d; the last steps:\n%s", seed, i, strings.Join(m.log[max(0, len(m.log)-15):], "\n"))
		}
	}
	m.checkAll()
}

func (m *model) logf(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) key() string {
	parts := []string{"a", "b", "/", "//", "é", "\U0001f600", "\x01", "a/b", "~"}
	var b strings.Builder
	for range 1 + m.rnd.IntN(3) {
		b.WriteString(parts[m.rnd.IntN(len(parts))])
	}
	return b.String()
}

func (m *model) set() (id metadata.SetID) {
	m.sets++
	copy(id[:], fmt.Sprintf("%016x", m.sets))
	return id
}

func (m *model) current(key string) *modelVersion {
	if vs := m.keys[key]; len(vs) > 0 && !vs[0].marker {
		return vs[0]
	}
	return nil
}

func (m *model) step() {
	switch n := m.rnd.IntN(100); {
	case n < 25:
		m.put()
	case n < 40:
		m.delete()
	case n < 43:
		m.deleteMany()
	case n < 45 && !m.fixed:
		m.setVersioning()
	case n < 46:
		m.append()
	case n < 48:
		m.rename()
	case n < 50:
		m.setTags()
	case n < 55:
		m.createUpload()
	case n < 65:
		m.putPart()
	case n < 70:
		m.complete()
	case n < 72:
		m.abort()
	case n < 80:
		m.get()
	case n < 88:
		m.list()
	case n < 94:
		m.listVersions()
	case n < 97:
		m.listUploads()
	default:
		m.collect()
	}
}

// check compares errors by what they are.
func (m *model) check(op string, got, want error) bool {
	m.t.Helper()
	if want == nil && got != nil || want != nil && !errors.Is(got, want) {
		m.t.Errorf("%s: error %v, want %v", op, got, want)
	}
	return got == nil
}

// cond makes a condition and what it must lead to.
func (m *model) cond(cur *modelVersion) (c metadata.Condition, want error) {
	switch m.rnd.IntN(8) {
	case 0:
		c.IfNoneMatch = []string{"*"}
		if cur != nil {
			want = metadata.ErrPrecondition
		}
	case 1:
		c.IfMatch = []string{"beef"}
		if want = metadata.ErrPrecondition; cur == nil {
			want = metadata.ErrNoSuchKey
		}
	case 2:
		c.IfMatch = []string{"*"}
		if cur == nil {
			want = metadata.ErrNoSuchKey
		}
	case 3:
		if cur != nil {
			c.IfMatch = []string{"beef", cur.etag}
		}
	case 4:
		if cur != nil {
			c.IfNoneMatch = []string{cur.etag}
			want = metadata.ErrPrecondition
		}
	}
	return c, want
}

// discard moves a version's sets to the garbage.
func (m *model) discard(v *modelVersion) {
	for _, s := range v.sets {
		m.garbage[s] = true
	}
}

// dropNull removes the null version of a key.
func (m *model) dropNull(key string) {
	m.keys[key] = slices.DeleteFunc(m.keys[key], func(v *modelVersion) bool {
		if v.null {
			m.discard(v)
		}
		return v.null
	})
}

// insert makes v current, by the bucket's state.
func (m *model) insert(v *modelVersion) (show string) {
	v.null = m.state != metadata.VersioningEnabled
	if v.null {
		m.dropNull(v.key)
	}
	slices.SortFunc(m.keys[v.key], func(a, b *modelVersion) int { return bytes.Compare(a.id[:], b.id[:]) })
	m.keys[v.key] = append([]*modelVersion{v}, m.keys[v.key]...)
	if m.state == metadata.Unversioned {
		return ""
	}
	return v.show()
}

func (m *model) put() {
	key := m.key()
	set := m.set()
	v := &metadata.Version{Key: key, ID: m.db.NewVersionID(), Size: int64(m.rnd.IntN(1000)), Modified: time.Now().Truncate(time.Millisecond)}
	if m.rnd.IntN(8) == 0 {
		// Put by a gateway whose clock is behind: it is current all the same.
		m.slow = append(m.slow, v.ID, m.db.NewVersionID())
		v.ID, m.slow = m.slow[0], m.slow[1:]
	}
	v.MD5[0] = byte(m.rnd.IntN(4))
	v.Inline = &metadata.Part{Number: 1, Set: set, K: 1, Size: v.Size, Targets: []metadata.TargetID{1}}
	c, want := m.cond(m.current(key))
	m.logf("put %q %+v", key, c)
	res, err := m.db.Put(m.t.Context(), "b", v, c)
	if !m.check("put", err, want) {
		m.sets-- // the set was never there
		return
	}
	show := m.insert(&modelVersion{key: key, id: v.ID, etag: v.ETag(), size: v.Size, sets: []metadata.SetID{set}})
	if res.VersionID != show {
		m.t.Errorf("put %q made version %q, want %q", key, res.VersionID, show)
	}
}

// pick gives a key and a version id: of a version that is there, or not.
func (m *model) pick() (key, id string, v *modelVersion) {
	key = m.key()
	vs := m.keys[key]
	switch n := m.rnd.IntN(10); {
	case n < 4:
		return key, "", nil
	case n < 5:
		id = m.db.NewVersionID().String()
	case n < 6 || len(vs) == 0:
		id = "null"
	default:
		id = vs[m.rnd.IntN(len(vs))].show()
	}
	for _, v := range vs {
		if v.show() == id {
			return key, id, v
		}
	}
	return key, id, nil
}

func (m *model) delete() {
	key, id, v := m.pick()
	cur := m.current(key)
	if id != "" {
		cur = v
		if v != nil && v.marker {
			cur = nil
		}
	}
	c, want := m.cond(cur)
	m.logf("delete %q %q %+v", key, id, c)
	res, err := m.db.Delete(m.t.Context(), "b", key, id, c)
	if m.check("delete", err, want) {
		m.deleted(key, id, v, res)
	}
}

// deleted does to the model what a delete did.
func (m *model) deleted(key, id string, v *modelVersion, res metadata.DeleteResult) {
	want := metadata.DeleteResult{VersionID: id}
	switch {
	case id != "" && v != nil:
		want.DeleteMarker = v.marker
		m.discard(v)
		m.keys[key] = slices.DeleteFunc(m.keys[key], func(o *modelVersion) bool { return o == v })
	case id != "":
	case m.state == metadata.Unversioned:
		m.dropNull(key)
	default:
		mark := &modelVersion{key: key, marker: true}
		_, _, err := m.db.Get(m.t.Context(), "b", key, "")
		var got *metadata.DeleteMarkerError
		if !errors.As(err, &got) {
			m.t.Errorf("delete %q made no marker: %v", key, err)
			return
		}
		mark.id = got.Marker.ID
		want = metadata.DeleteResult{VersionID: m.insert(mark), DeleteMarker: true}
	}
	if res != want {
		m.t.Errorf("delete %q %q: %+v, want %+v", key, id, res, want)
	}
}

func (m *model) deleteMany() {
	var items []metadata.DeleteItem
	m.logf("delete many")
	for range m.rnd.IntN(6) {
		key, id, _ := m.pick()
		if slices.ContainsFunc(items, func(o metadata.DeleteItem) bool { return o.Key == key }) {
			continue
		}
		m.logf("  %q %q", key, id)
		items = append(items, metadata.DeleteItem{Key: key, VersionID: id})
	}
	res, err := m.db.DeleteMany(m.t.Context(), "b", items)
	m.check("delete many", err, nil)
	for i, item := range items {
		var v *modelVersion
		for _, o := range m.keys[item.Key] {
			if o.show() == item.VersionID {
				v = o
			}
		}
		m.deleted(item.Key, item.VersionID, v, res[i])
	}
}

func (m *model) setVersioning() {
	m.state = metadata.VersioningEnabled + metadata.VersioningState(m.rnd.IntN(2))
	m.logf("versioning %d", m.state)
	m.check("set versioning", m.db.SetVersioning(m.t.Context(), "b", m.state), nil)
}

// find is what Get and SetTags must come to.
func (m *model) find(key, id string, v *modelVersion) (*modelVersion, error) {
	if id == "" {
		if v = m.current(key); v == nil {
			return nil, metadata.ErrNoSuchKey
		}
		return v, nil
	}
	if v == nil {
		return nil, metadata.ErrNoSuchVersion
	}
	if v.marker {
		return nil, metadata.ErrNoSuchKey
	}
	return v, nil
}

func (m *model) setTags() {
	key, id, v := m.pick()
	v, want := m.find(key, id, v)
	tags := map[string]string{"t": fmt.Sprint(m.rnd.IntN(100))}
	m.logf("tags %q %q", key, id)
	show, err := m.db.SetTags(m.t.Context(), "b", key, id, metadata.VersionID{}, tags)
	if !m.check("set tags", err, want) {
		return
	}
	v.tags = tags
	if want := v.show(); m.state != metadata.Unversioned && show != want {
		m.t.Errorf("tagged version %q, want %q", show, want)
	}
}

func (m *model) get() {
	key, id, v := m.pick()
	m.compareGet(key, id, v)
}

func (m *model) compareGet(key, id string, v *modelVersion) {
	asked := v
	v, want := m.find(key, id, v)
	got, _, err := m.db.Get(m.t.Context(), "b", key, id)
	if !m.check(fmt.Sprintf("get %q %q", key, id), err, want) {
		var mark *metadata.DeleteMarkerError
		isMarker := errors.As(err, &mark)
		vs := m.keys[key]
		if wantMarker := asked != nil || id == "" && len(vs) > 0; isMarker != wantMarker {
			m.t.Errorf("get %q %q: %v, delete marker: %v", key, id, err, wantMarker)
		} else if isMarker && mark.Current != (asked == nil || asked == vs[0]) {
			m.t.Errorf("get %q %q: current %v", key, id, mark.Current)
		}
		return
	}
	if got.Key != key || got.ID != v.id || got.Null != v.null || got.ETag() != v.etag || got.Size != v.size || got.Tags["t"] != v.tags["t"] {
		m.t.Errorf("get %q %q: %+v, want %+v", key, id, got, v)
	}
}

// sortedKeys are those with versions.
func (m *model) sortedKeys() []string {
	var keys []string
	for k, vs := range m.keys {
		if len(vs) > 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func etagOf(parts []*metadata.Part) string {
	list := make([]metadata.Part, len(parts))
	for i, p := range parts {
		list[i] = *p
	}
	sum := metadata.MultipartMD5(list)
	return fmt.Sprintf("%s-%d", hex.EncodeToString(sum[:]), len(parts))
}

func sortUploads(us []*modelUpload) {
	slices.SortFunc(us, func(a, b *modelUpload) int {
		return cmp.Or(strings.Compare(a.key, b.key), bytes.Compare(a.id[:], b.id[:]))
	})
}
