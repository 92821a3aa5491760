package verbs

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// Access is what a region may be used for, besides being read by this end's own work requests.
type Access int

// Rights. RemoteWrite needs LocalWrite.
const (
	LocalWrite  Access = 1 // receives, and the target of this end's READs
	RemoteWrite Access = 2
	RemoteRead  Access = 4
)

// MR is a region of registered memory.
type MR struct {
	guard
	dev        *Device
	mr         handle
	addr       uint64
	len        int
	lkey, rkey uint32
}

// Register pins mem and makes it known to the device. mem must be mapped by the caller, not of the Go heap, and stay
// mapped until Close.
func (d *Device) Register(mem []byte, access Access) (*MR, error) {
	if len(mem) == 0 {
		return nil, used("register memory on", d.info.Name, errors.New("no bytes"))
	}
	m := &MR{dev: d, addr: uint64(uintptr(unsafe.Pointer(&mem[0]))), len: len(mem)}
	err := d.adopt(func() error {
		mr, lkey, rkey, rc := cMRReg(d.pd, mem, int(access))
		hint := ""
		if rc == -int(syscall.ENOMEM) {
			hint = "raise the limit of locked memory (ulimit -l unlimited, LimitMEMLOCK=infinity), or use less"
		}
		m.mr, m.lkey, m.rkey = mr, lkey, rkey
		return failed(rc, fmt.Sprintf("register %d bytes on", len(mem)), d.info.Name, hint)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Addr is where the memory starts, for work requests of both ends.
func (m *MR) Addr() uint64 { return m.addr }

// Len is the length in bytes.
func (m *MR) Len() int { return m.len }

// LKey is the key for this end's work requests.
func (m *MR) LKey() uint32 { return m.lkey }

// RKey is the key for the other end's WRITEs and READs: a secret.
func (m *MR) RKey() uint32 { return m.rkey }

// String leaves the keys out.
func (m *MR) String() string { return fmt.Sprintf("region of %d bytes on %s", m.len, m.dev.info.Name) }

// GoString is String.
func (m *MR) GoString() string { return m.String() }

// Close revokes the keys. When it returns the device does not touch the memory any more, and what still refers to it fails.
func (m *MR) Close() error {
	if ok, err := m.shut(); !ok {
		return err
	}
	rc := cMRDereg(m.mr)
	m.dev.release()
	return failed(rc, "deregister memory on", m.dev.info.Name, "")
}
