package fabric

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tree makes a root of the files in testdata, and of extra lines: "PATH =" with
// nothing replaces a file by an empty one, "PATH -" removes it.
func tree(t *testing.T, names string, extra ...string) Source {
	t.Helper()
	root := t.TempDir()
	var lines []string
	for name := range strings.FieldsSeq(names) {
		b, err := os.ReadFile(filepath.Join("testdata", name+".tree"))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(string(b), "\n")...)
	}
	for _, line := range append(lines, extra...) {
		plant(t, root, line)
	}
	return Source{
		Root: root, Cgo: true, LibraryDirs: []string{"/usr/lib/x86_64-linux-gnu"}, Open: openDevice,
		Memlock: func() (uint64, uint64) { return Unlimited, Unlimited },
		DeviceOf: func(netdev string) (string, error) {
			device := map[string]string{"ens1f0np0": "mlx5_0", "ens1f1np1": "mlx5_1", "ib0": "mlx5_0", "eth0": "rxe0", "eth1": "siw0"}[netdev]
			if device == "" {
				return "", errors.New("unknown device type")
			}
			return device, nil
		},
		Addrs: func(netdev string) []netip.Prefix {
			if netdev == "ib0" {
				return []netip.Prefix{netip.MustParsePrefix("10.1.0.5/24")}
			}
			return nil
		},
	}
}

func plant(t *testing.T, root, line string) {
	t.Helper()
	if line == "" || line[0] == '#' {
		return
	}
	name, rest, _ := strings.Cut(line, " ")
	path := filepath.Join(root, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	switch op, value, _ := strings.Cut(rest, " "); op {
	case "=":
		err = errors.Join(err, os.WriteFile(path, []byte(value+"\n"), 0o644))
	case "->":
		err = errors.Join(err, os.Symlink(value, path))
	case "-":
		err = errors.Join(err, os.RemoveAll(path))
	default:
		t.Fatalf("tree: %q", line)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// expect compares the problems with "!where" for wrong and "?where" for advice; the
// fix of each must have the words after " ~ ".
func expect(t *testing.T, h *Host, want Want, problems ...string) {
	t.Helper()
	got := Diagnose(h, want)
	for i, p := range got {
		kind := "!"
		if p.Advice {
			kind = "?"
		}
		t.Logf("%s%s: %s -> %s", kind, p.Where, p.What, p.Fix)
		if p.What == "" || p.Fix == "" {
			t.Error("a problem without words or without a remedy")
		}
		if i >= len(problems) {
			continue
		}
		where, words, _ := strings.Cut(problems[i], " ~ ")
		if kind+p.Where != where || !strings.Contains(p.What+p.Fix, words) {
			t.Errorf("problem %d: want %s", i, problems[i])
		}
	}
	if len(got) != len(problems) {
		t.Errorf("%d problems, want %d: %q", len(got), len(problems), problems)
	}
}

func TestMlx5(t *testing.T) {
	h := Look(tree(t, "common mlx5"))
	if len(h.Devices) != 2 {
		t.Fatalf("%d devices", len(h.Devices))
	}
	d := h.Devices[0]
	if d.Driver != "mlx5_core" || d.NUMA != 1 || d.Firmware != "22.39.1002" || len(d.Ports) != 1 {
		t.Errorf("device %+v", d)
	}
	p := d.Ports[0]
	if !p.Active() || !p.RoCE() || p.Physical != "LinkUp" || len(p.GIDs) != 4 || len(p.Netdevs) != 1 {
		t.Fatalf("port %+v", p)
	}
	want := GID{Index: 3, Type: "RoCE v2", Addr: netip.MustParseAddr("192.168.10.5"), Netdev: "ens1f0np0"}
	if p.GIDs[3] != want || p.GIDs[2].Type != "RoCE v1" {
		t.Errorf("GIDs %+v", p.GIDs)
	}
	if n := p.Netdevs[0]; n.MTU != 9000 || n.RDMA != 4096 || n.State != "up" {
		t.Errorf("interface %+v", n)
	}
	if n := h.Devices[1].Ports[0].Netdevs; len(n) != 1 || n[0].Name != "ens1f1np1" {
		t.Errorf("interfaces of a port without GIDs: %+v", n)
	}
	expect(t, h, Want{Memory: 1 << 30}, "?mlx5_1/1 ~ ip link set ens1f1np1 up")
	if Wrong(Diagnose(h, Want{})) {
		t.Error("a second port without a cable counts as wrong")
	}
}

func TestInfiniBand(t *testing.T) {
	src := tree(t, "common ib")
	h := Look(src)
	p := h.Devices[0].Ports[0]
	if p.LID != 42 || p.RoCE() || p.GIDs[0].Type != "IB" || len(p.Netdevs) != 1 || p.Netdevs[0].Name != "ib0" {
		t.Errorf("port %+v", p)
	}
	expect(t, h, Want{})
	src.Addrs = func(string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("fe80::1/64")} }
	expect(t, Look(src), Want{}, "!mlx5_0/1 ~ dev ib0")
	expect(t, Look(tree(t, "common ib", "sys/class/net/ib0 -")), Want{}, "!mlx5_0/1 ~ modprobe ib_ipoib")
	expect(t, Look(tree(t, "common ib", "sys/class/infiniband/mlx5_0/ports/1/state = 2: INIT")), Want{}, "!mlx5_0/1 ~ opensm")
}

func TestRXE(t *testing.T) {
	h := Look(tree(t, "common rxe"))
	if d := h.Devices[0]; d.Driver != "" || d.NUMA != -1 || d.Ports[0].Netdevs[0].RDMA != 1024 {
		t.Errorf("device %+v", d)
	}
	expect(t, h, Want{}, "?rxe0/1 ~ mtu 9000")
	const dir = "sys/class/infiniband/rxe0/ports/1/"
	expect(t, Look(tree(t, "common rxe", "sys/class/net/eth0/mtu = 9000")), Want{})
	expect(t, Look(tree(t, "common rxe", "sys/class/net/eth0/mtu = 300")), Want{}, "!rxe0/1 ~ too small")
	expect(t, Look(tree(t, "common rxe", "sys/class/net/eth0/mtu = 9000", dir+"gids/1 -")), Want{}, "!rxe0/1 ~ ip addr add ADDRESS/PREFIX dev eth0")
	expect(t, Look(tree(t, "common rxe", dir+"state = 1: DOWN")), Want{}, "!rxe0/1 ~ ip link set eth0 up")
}

// TestIWARP: no GIDs of RoCE are wanted, only an address.
func TestIWARP(t *testing.T) {
	const dir = "sys/class/infiniband/siw0/"
	src := tree(t, "common", dir+"node_type = 4: RNIC", dir+"ports/1/state = 4: ACTIVE", dir+"ports/1/phys_state = 5: LinkUp",
		dir+"ports/1/link_layer = Ethernet", dir+"ports/1/gids/0 = 0242:ac11:0002:0000:0000:0000:0000:0000", dir+"ports/1/gid_attrs/types/0 = IB/RoCE v1",
		"sys/class/net/eth1/mtu = 1500", "sys/class/net/eth1/operstate = up")
	src.Addrs = func(string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.2.0.5/24")} }
	h := Look(src)
	if p := h.Devices[0].Ports[0]; !p.IWARP || p.RoCE() || p.GIDs[0].Type != "iWARP" || len(p.Netdevs) != 1 || p.Netdevs[0].Name != "eth1" {
		t.Errorf("port %+v", p)
	}
	expect(t, h, Want{})
	src.Addrs = func(string) []netip.Prefix { return nil }
	expect(t, Look(src), Want{}, "!siw0/1 ~ ip addr add ADDRESS/PREFIX dev eth1")
	expect(t, Look(tree(t, "common", dir+"node_type = 4: RNIC", dir+"ports/1/state = 4: ACTIVE", dir+"ports/1/link_layer = Ethernet")),
		Want{}, "!siw0/1 ~ Ethernet driver")
}

func TestNothing(t *testing.T) {
	h := Look(tree(t, ""))
	expect(t, h, Want{}, "!libraries ~ apt install libibverbs1", "!kernel ~ modprobe ib_uverbs", "!kernel ~ modprobe rdma_ucm", "!devices ~ rdma_rxe")
	var out bytes.Buffer
	r := Report{h, Diagnose(h, Want{})}
	r.Print(&out)
	if !strings.Contains(out.String(), "WRONG") || strings.Contains(out.String(), "can be used") {
		t.Errorf("report:\n%s", out.String())
	}
}

func TestSoftware(t *testing.T) {
	src := tree(t, "common mlx5", "sys/class/infiniband/mlx5_1 -", "sys/class/infiniband_verbs/uverbs1 -")
	expect(t, Look(src), Want{})
	src.Cgo = false
	expect(t, Look(src), Want{}, "!weft ~ CGO_ENABLED=1")
	src.Cgo = true
	plant(t, src.Root, "etc/libibverbs.d -")
	expect(t, Look(src), Want{}, "!libraries ~ ibverbs-providers")
	plant(t, src.Root, "etc/libibverbs.d/mlx5.driver =")
	plant(t, src.Root, "usr/lib/x86_64-linux-gnu/librdmacm.so.1 -")
	expect(t, Look(src), Want{}, "!libraries ~ not found: librdmacm.so.1")
	cache := "glibc-ld.so.cache1.1\x00\x01librdmacm.so.1\x00/opt/rdma/librdmacm.so.1\x00x"
	if err := os.WriteFile(filepath.Join(src.Root, linkerCache), []byte(cache), 0o644); err != nil {
		t.Fatal(err)
	}
	h := Look(src)
	if h.Libraries[1].Path != "/opt/rdma/librdmacm.so.1" {
		t.Errorf("library of the cache: %+v", h.Libraries[1])
	}
	expect(t, h, Want{})
}

func TestCharDevices(t *testing.T) {
	src := tree(t, "common rxe", "sys/class/net/eth0/mtu = 9000", "dev/infiniband/uverbs0 -", "dev/infiniband/rdma_cm -")
	expect(t, Look(src), Want{}, "!/dev/infiniband ~ --device /dev/infiniband/uverbs0 --device /dev/infiniband/rdma_cm")
	src.Open = func(path string) error {
		if strings.HasSuffix(path, "uverbs0") {
			return &fs.PathError{Op: "open", Path: path, Err: syscall.EPERM}
		}
		return nil
	}
	expect(t, Look(src), Want{}, "!/dev/infiniband/uverbs0 ~ operation not permitted")
}

func TestMemory(t *testing.T) {
	src := tree(t, "common rxe", "sys/class/net/eth0/mtu = 9000")
	src.Memlock = func() (uint64, uint64) { return 8 << 20, 8 << 20 }
	expect(t, Look(src), Want{Memory: 8 << 20})
	expect(t, Look(src), Want{Memory: 1 << 30}, "!memory ~ LimitMEMLOCK=infinity")
	plant(t, src.Root, "proc/self/status = CapEff:\t0000000000004000")
	expect(t, Look(src), Want{Memory: 1 << 30})
	expect(t, Look(src), Want{Memory: 1 << 30, HugePages: true}, "?memory ~ vm.nr_hugepages=512")
	info := "Hugepagesize: 2048 kB\nHugePages_Total: 700\nHugePages_Free: 600\n"
	if err := os.WriteFile(filepath.Join(src.Root, "proc/meminfo"), []byte(info), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, Look(src), Want{Memory: 1 << 30, HugePages: true})
	expect(t, Look(src), Want{Memory: 2 << 30, HugePages: true}, "?memory ~ vm.nr_hugepages=1124")
}

func TestRoCEMTU(t *testing.T) {
	for mtu, want := range map[int]int{9000: 4096, comfortable: 4096, comfortable - 1: 2048, 1500: 1024, 352: 256, 351: 0, 0: 0} {
		if got := roceMTU(mtu); got != want {
			t.Errorf("MTU %d carries %d, want %d", mtu, got, want)
		}
	}
}

func TestCounters(t *testing.T) {
	src := tree(t, "mlx5 rxe")
	before := ReadCounters(src.Root)
	if before["mlx5_0/1 rx_read_requests"] != 11 || before["mlx5_0/1 port_rcv_data"] != 4000 || len(before) != 3 {
		t.Errorf("counters %v", before)
	}
	plant(t, src.Root, "sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts = 175")
	moved := ReadCounters(src.Root).Since(before)
	if len(moved) != 1 || moved["rxe0/1 sent_pkts"] != 75 || moved.Names()[0] != "rxe0/1 sent_pkts" {
		t.Errorf("moved %v", moved)
	}
}

// TestLocal: whatever this machine is, looking at it works.
func TestLocal(t *testing.T) {
	h := Look(LocalSource())
	r := Report{h, Diagnose(h, Want{Memory: 1 << 20})}
	var out bytes.Buffer
	r.Print(&out)
	if _, err := json.Marshal(r); err != nil || out.Len() == 0 {
		t.Errorf("%v\n%s", err, out.String())
	}
}
