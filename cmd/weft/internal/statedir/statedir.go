// Package statedir is the state directory of a process: locked while it runs, and
// with the record of the store that the process belongs to.
//
//	lock              held by flock while a process uses the directory
//	deployment.json   {version, id, layout, created}
//	index/            indexes of the targets, a cache of package node/extent
//
// What else is in it belongs to the packages that name it. The directory has mode
// 0700, its files 0600.
package statedir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// IndexDir is the directory of the targets' indexes, in the state directory.
const IndexDir = "index"

const (
	lockFile          = "lock"
	deploymentFile    = "deployment.json"
	deploymentVersion = 1
	maxFile           = 16 << 20 // of a JSON file
)

// Deployment identifies the store that the directory belongs to.
type Deployment struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // 32 hexadecimal digits
	Layout  string    `json:"layout"`
	Created time.Time `json:"created"`
}

// NewDeployment makes a record.
func NewDeployment(id [16]byte, layout string, now time.Time) *Deployment {
	return &Deployment{Version: deploymentVersion, ID: hex.EncodeToString(id[:]), Layout: layout, Created: now.UTC()}
}

// UUID is the ID as bytes.
func (d *Deployment) UUID() (id [16]byte, err error) {
	b, err := hex.DecodeString(d.ID)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("deployment id %q is not 32 hexadecimal digits", d.ID)
	}
	return [16]byte(b), nil
}

// RandomID makes the id of a deployment or of a target.
func RandomID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return id
}

// Dir is a state directory, held by this process until Close.
type Dir struct {
	path string
	lock *os.File
}

// Open creates the directory when absent and locks it.
func Open(path string) (*Dir, error) {
	if path == "" { // the default without a home directory
		return nil, errors.New("--state: name a directory for the state")
	}
	if err := os.MkdirAll(filepath.Join(path, IndexDir), 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("state directory %s is in use by another weft process: stop it, or give this one its own --state", path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Dir{path: path, lock: f}, nil
}

// Path is that of the directory, or of something in it.
func (d *Dir) Path(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

// Close releases the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// Deployment reads the record; nil when there is none yet.
func (d *Dir) Deployment() (*Deployment, error) {
	rec := new(Deployment)
	found, err := d.ReadJSON(deploymentFile, rec)
	if err != nil || !found {
		return nil, err
	}
	if rec.Version != deploymentVersion {
		return nil, fmt.Errorf("%s: version %d was written by another release of weft", d.Path(deploymentFile), rec.Version)
	}
	return rec, nil
}

// SetDeployment replaces the record.
func (d *Dir) SetDeployment(rec *Deployment) error { return d.WriteJSON(deploymentFile, rec) }

// Belong makes the directory that of a store, or refuses when it is another's. A
// changed layout is recorded.
func (d *Dir) Belong(id [16]byte, layout string) error {
	rec, err := d.Deployment()
	if err != nil {
		return err
	}
	if rec == nil {
		return d.SetDeployment(NewDeployment(id, layout, time.Now()))
	}
	have, err := rec.UUID()
	switch {
	case err != nil:
		return err
	case have != id:
		return fmt.Errorf("state directory %s is of another store (%s): name another --state, or the right cluster file", d.path, rec.ID)
	case rec.Layout == layout:
		return nil
	}
	rec.Layout = layout
	return d.SetDeployment(rec)
}

// ReadJSON decodes a file of the directory; false when it is not there.
func (d *Dir) ReadJSON(name string, v any) (bool, error) {
	info, err := os.Stat(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%d bytes: too long to be of weft", info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(d.Path(name))
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return true, nil
}

// WriteJSON replaces a file of the directory durably.
func (d *Dir) WriteJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(d.Path(name), append(b, '\n'))
}

// WriteFile replaces a file, mode 0600, durably.
func WriteFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return Rename(tmp, path)
}

// Rename puts a synced file in its place, durably.
func Rename(tmp, path string) error {
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
