package verbs

import (
	"errors"
	"fmt"
	"sync"
)

// The sonames name the ABI that abi.h declares.
const (
	verbsLibrary = "libibverbs.so.1"
	cmLibrary    = "librdmacm.so.1"
)

const packages = "install libibverbs1, librdmacm1 and ibverbs-providers (Debian, Ubuntu), or libibverbs and librdmacm (RHEL, Rocky, Fedora), or libibverbs1 and librdmacm1 (SUSE)"

// Load opens the libraries, once. Its error says what is missing and which package has it; without it no other
// function of the package works. Whether there are devices is for [Devices] to say.
var Load = sync.OnceValue(func() error { return load(verbsLibrary, cmLibrary) })

func load(verbs, cm string) error {
	switch rc, why := loadLibraries(verbs, cm); rc {
	case 0:
		return nil
	case -1:
		return fmt.Errorf("verbs: no RDMA libraries: %s: %s", why, packages)
	case -2:
		return fmt.Errorf("verbs: the RDMA libraries are too old: no function %s: version 1.1.20 of rdma-core's libraries or newer is needed", why)
	default:
		return errors.New("verbs: built without cgo, so there is no RDMA: build on Linux with a C compiler and CGO_ENABLED=1")
	}
}
