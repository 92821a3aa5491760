package verbs

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
)

// withCgo tells the two builds apart.
func withCgo() bool {
	rc, _ := loadLibraries("libweft-absent.so.1", "")
	return rc == -1
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	if !withCgo() {
		if err := Load(); err == nil || !strings.Contains(err.Error(), "without cgo") {
			t.Fatalf("Load = %v", err)
		}
		if _, err := Devices(); err == nil {
			t.Fatal("Devices succeeded")
		}
		return
	}
	for _, row := range []struct{ verbs, cm, want string }{
		{"libweft-absent.so.1", cmLibrary, "libweft-absent.so.1"},
		{"libc.so.6", cmLibrary, "ibv_get_device_list"},
	} {
		err := load(row.verbs, row.cm)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("load(%s) = %v, want %q in it", row.verbs, err, row.want)
		}
	}
	err := load("libweft-absent.so.1", cmLibrary)
	for _, want := range []string{"libibverbs1", "librdmacm1", "ibverbs-providers", "RHEL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if Load() != nil {
		t.Skipf("the libraries are not installed: %v", Load())
	}
	if err := load(verbsLibrary, "libweft-absent.so.1"); err == nil || !strings.Contains(err.Error(), "libweft-absent") {
		t.Errorf("without librdmacm: %v", err)
	}
}

// Without devices everything is an error or empty, nothing crashes.
func TestWithoutDevices(t *testing.T) {
	if Load() != nil {
		t.Skip(Load())
	}
	infos, err := Devices()
	if err != nil || len(infos) > 0 {
		t.Skipf("there are devices, or no access to them: %v, %v", infos, err)
	}
	if d, err := Open("rxe0"); err == nil {
		t.Errorf("Open = %v", d)
	}
	if l, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1, Options{}); err == nil {
		t.Errorf("Listen = %v", l)
		l.Close()
	}
}

// The comparison with the headers finds a member in the wrong place.
func TestABICheck(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	if _, err := os.Stat("/usr/include/infiniband/verbs.h"); err != nil {
		t.Skip("no headers to compare with: install libibverbs-dev and librdmacm-dev")
	}
	compile := func(abi string) error {
		dir := t.TempDir()
		check, err := os.ReadFile("abi_check.c")
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"abi.h": abi, "abi_check.c": string(check)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return exec.Command(cc, "-std=gnu11", "-fsyntax-only", filepath.Join(dir, "abi_check.c")).Run()
	}
	p, err := os.ReadFile("abi.h")
	if err != nil {
		t.Fatal(err)
	}
	abi := string(p)
	if err := compile(abi); err != nil {
		t.Fatalf("abi.h is not the system's: %v", err)
	}
	for _, swap := range [][2]string{
		{"uint32_t handle, lkey, rkey;", "uint32_t handle, rkey, lkey;"},
		{"void *cq_event_to_destroy_qp[12];", "void *cq_event_to_destroy_qp[11];"},
		{"WV_SEND_INLINE = 8", "WV_SEND_INLINE = 16"},
		{"uint64_t ibaddr[5];", "uint64_t ibaddr[4];"},
	} {
		wrong := strings.Replace(abi, swap[0], swap[1], 1)
		if wrong == abi {
			t.Fatalf("abi.h has no %q", swap[0])
		}
		if compile(wrong) == nil {
			t.Errorf("%q passes", swap[1])
		}
	}
}

func TestStatus(t *testing.T) {
	if Success.Err() != nil {
		t.Error("success is an error")
	}
	for s := Success + 1; s < firstUnknown+2; s++ {
		if s.Err() == nil || s.String() == "" || len(s.Error()) < 30 {
			t.Errorf("status %d: %q %q", s, s.String(), s.Error())
		}
	}
	if !errors.Is(RemoteAccess.Err(), RemoteAccess) {
		t.Error("a status is not itself")
	}
	if Status(-1).String() != "WC_STATUS_-1" {
		t.Error(Status(-1))
	}
}

func TestGIDs(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	sys := fstest.MapFS{
		"rxe0/ports/1/gids/0":             file("fe80:0000:0000:0000:5054:00ff:fe12:3456"),
		"rxe0/ports/1/gids/1":             file("0000:0000:0000:0000:0000:ffff:0a00:0001"),
		"rxe0/ports/1/gids/2":             file("0000:0000:0000:0000:0000:0000:0000:0000"),
		"rxe0/ports/1/gids/10":            file("nonsense"),
		"rxe0/ports/1/gid_attrs/types/0":  file("IB/RoCE v1"),
		"rxe0/ports/1/gid_attrs/types/1":  file("RoCE v2"),
		"rxe0/ports/1/gid_attrs/ndevs/1":  file("eth0"),
		"mlx5_0/ports/1/gids/0":           file("fe80:0000:0000:0000:5054:00ff:fe12:3456"),
		"mlx5_0/ports/1/gid_attrs/ndevs/": &fstest.MapFile{Mode: os.ModeDir},
	}
	got := gids(sys, "rxe0", 1, "Ethernet")
	if len(got) != 2 || got[0].String() != "0 RoCE v1 fe80::5054:ff:fe12:3456" || got[1].String() != "1 RoCE v2 10.0.0.1 eth0" {
		t.Errorf("RoCE: %v", got)
	}
	if got := gids(sys, "mlx5_0", 1, "InfiniBand"); len(got) != 1 || got[0].Type != "IB" {
		t.Errorf("InfiniBand: %v", got)
	}
	if got := gids(sys, "absent", 1, ""); got != nil {
		t.Errorf("absent: %v", got)
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"10.1.2.3:4791", "[2001:db8::1]:5", "[fe80::1%7]:9", "0.0.0.0:0"} {
		a := netip.MustParseAddrPort(s)
		if got := fromAddr(toAddr(a)); got != a {
			t.Errorf("%s became %s", a, got)
		}
	}
	if got := toAddr(netip.AddrPort{}); got.family != 0 {
		t.Errorf("no address has family %d", got.family)
	}
}

func TestErrors(t *testing.T) {
	err := failed(-int(syscall.ENOMEM), "register memory on", "rxe0", "raise it")
	if !errors.Is(err, syscall.ENOMEM) || err.Error() != "verbs: register memory on rxe0: cannot allocate memory (raise it)" {
		t.Error(err)
	}
	if failed(0, "", "", "") != nil || failed(3, "", "", "") != nil {
		t.Error("success is an error")
	}
}

// Uses never overlap destruction, and children keep their parent.
func TestGuard(t *testing.T) {
	var g guard
	var alive sync.WaitGroup
	var destroyed bool // guarded by g
	for range 8 {
		alive.Go(func() {
			for g.enter() == nil {
				if destroyed {
					t.Error("used after it was destroyed")
				}
				g.leave()
			}
		})
	}
	if err := g.adopt(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if ok, err := g.shut(); ok || !errors.Is(err, ErrBusy) {
		t.Fatalf("shut with a child: %v %v", ok, err)
	}
	if err := g.adopt(func() error { return syscall.EIO }); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	g.release()
	ok, err := g.shut()
	destroyed = true
	if !ok || err != nil {
		t.Fatalf("shut: %v %v", ok, err)
	}
	if ok, err := g.shut(); ok || err != nil {
		t.Fatalf("second shut: %v %v", ok, err)
	}
	if err := g.adopt(func() error { return nil }); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	alive.Wait()
}

func TestWaiter(t *testing.T) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(p[0])
	defer syscall.Close(p[1])
	w, err := newWaiter(p[0], "pipe")
	if err != nil {
		t.Fatal(err)
	}
	var buf [16]byte
	read := func() bool {
		n, _ := syscall.Read(p[0], buf[:])
		return n > 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // what ends one wait does not end the next
		if err := w.wait(ctx, read); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
		if _, err := syscall.Write(p[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		live, stop := context.WithCancel(t.Context())
		if err := w.wait(live, read); err != nil {
			t.Fatalf("readable: %v", err)
		}
		stop()
	}
	waiting := make(chan struct{})
	go func() {
		<-waiting
		w.close()
	}()
	first := true
	err = w.wait(t.Context(), func() bool {
		if first {
			close(waiting)
			first = false
		}
		return read()
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("closed under a wait: %v", err)
	}
	if err := w.wait(t.Context(), read); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
