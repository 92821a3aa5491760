package server

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

// Names in the state directory.
const (
	lockFile       = "lock"
	deploymentFile = "deployment.json"
	metadataFile   = "metadata.db"
	indexDir       = "index"
)

// deployment identifies the store that the targets and the state belong to.
type deployment struct {
	Version int       `json:"version"`
	ID      string    `json:"id"` // 32 hexadecimal digits
	Layout  string    `json:"layout"`
	Created time.Time `json:"created"`
}

const deploymentVersion = 1

func (d *deployment) uuid() (id [16]byte, err error) {
	b, err := hex.DecodeString(d.ID)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("deployment id %q is not 32 hexadecimal digits", d.ID)
	}
	return [16]byte(b), nil
}

func newDeployment(id [16]byte, layout string, now time.Time) *deployment {
	return &deployment{Version: deploymentVersion, ID: hex.EncodeToString(id[:]), Layout: layout, Created: now.UTC()}
}

func randomID() (id [16]byte) {
	rand.Read(id[:])
	return id
}

// state is the state directory, held by one process.
type state struct {
	dir  string
	lock *os.File
}

// openState creates the directory when absent and locks it.
func openState(dir string) (*state, error) {
	if err := os.MkdirAll(filepath.Join(dir, indexDir), 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("state directory %s is in use by another weft process: stop it, or give this one its own --state", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &state{dir: dir, lock: f}, nil
}

func (s *state) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

// deployment reads the record; nil when there is none yet.
func (s *state) deployment() (*deployment, error) {
	b, err := os.ReadFile(s.path(deploymentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := new(deployment)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(deploymentFile), err)
	}
	if d.Version != deploymentVersion {
		return nil, fmt.Errorf("%s: version %d was written by another release of weft", s.path(deploymentFile), d.Version)
	}
	return d, nil
}

func (s *state) save(d *deployment) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeFileSynced(s.path(deploymentFile), append(b, '\n'))
}

// Close releases the directory.
func (s *state) Close() error { return s.lock.Close() }

// writeFileSynced replaces a file, mode 0600, durably.
func writeFileSynced(path string, data []byte) error {
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
	return renameSynced(tmp, path)
}

// renameSynced puts a synced file in its place, durably.
func renameSynced(tmp, path string) error {
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
