package fabric

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Libraries that the verbs transport opens.
const (
	verbsLibrary = "libibverbs.so.1"
	cmLibrary    = "librdmacm.so.1"
)

// linkerCache has the places of libraries, as strings that end in NUL.
const linkerCache = "etc/ld.so.cache"

// libraryDirs are where the linker looks without being told.
func libraryDirs() []string {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	multiarch, _ := filepath.Glob("/usr/lib/*-linux-gnu*")
	return append(append(dirs, multiarch...), "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
}

func (s *Source) libraries() []Library {
	cache, _ := os.ReadFile(filepath.Join(s.Root, linkerCache))
	out := make([]Library, 0, 2)
	for _, name := range []string{verbsLibrary, cmLibrary} {
		out = append(out, Library{Name: name, Path: s.findLibrary(cache, name)})
	}
	return out
}

func (s *Source) findLibrary(cache []byte, name string) string {
	if i := bytes.Index(cache, []byte("/"+name+"\x00")); i >= 0 {
		start := bytes.LastIndexByte(cache[:i], 0) + 1
		return string(cache[start : i+1+len(name)])
	}
	for _, dir := range s.LibraryDirs {
		if path := filepath.Join(dir, name); s.exists(strings.TrimPrefix(path, "/")) {
			return path
		}
	}
	return ""
}

// drivers are those that libibverbs knows: a file each.
func (s *Source) drivers() []string {
	var out []string
	for _, name := range s.list("etc/libibverbs.d") {
		if driver, ok := strings.CutSuffix(name, ".driver"); ok {
			out = append(out, driver)
		}
	}
	return out
}

// modules: a class exists where the module is loaded or built in.
func (s *Source) modules() []Module {
	has := func(module, class string) Module {
		return Module{module, s.exists("sys/module", module) || s.exists("sys/class", class)}
	}
	return []Module{has("ib_uverbs", "infiniband_verbs"), has("rdma_ucm", "misc/rdma_cm")}
}

// charDevices are the nodes that the devices of this host need.
func (s *Source) charDevices() []CharDevice {
	var out []CharDevice
	for _, name := range s.list("sys/class/infiniband_verbs") {
		if device := s.read("sys/class/infiniband_verbs", name, "ibdev"); device != "" {
			out = append(out, s.charDevice(name, device))
		}
	}
	if len(out) > 0 || s.exists("sys/class/misc/rdma_cm") {
		out = append(out, s.charDevice("rdma_cm", ""))
	}
	return out
}

func (s *Source) charDevice(name, device string) CharDevice {
	path := filepath.Join("/dev/infiniband", name)
	c := CharDevice{Path: path, Device: device}
	if err := s.Open(filepath.Join(s.Root, path)); err != nil {
		c.missing = errors.Is(err, fs.ErrNotExist)
		c.Error = reason(err)
	}
	return c
}

// reason is an error without the path, which stands beside it.
func reason(err error) string {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// capIPCLock is the bit of CAP_IPC_LOCK (capabilities(7)).
const capIPCLock = 14

func (s *Source) memory() Memory {
	var m Memory
	m.LockSoft, m.LockHard = s.Memlock()
	if caps, err := strconv.ParseUint(field(s.read("proc/self/status"), "CapEff"), 16, 64); err == nil {
		m.IPCLock = caps&(1<<capIPCLock) != 0
	}
	info := s.read("proc/meminfo")
	count := func(name string) uint64 {
		digits, _, _ := strings.Cut(field(info, name), " ")
		n, _ := strconv.ParseUint(digits, 10, 64)
		return n
	}
	m.HugePageSize, m.HugePages, m.HugeFree = count("Hugepagesize")<<10, count("HugePages_Total"), count("HugePages_Free")
	return m
}

// field is the value of "Name:   value" in lines of such.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
