package verbs

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A device of its own goes down and is removed. It also shows that devices which come later are found.
func TestRDMADeviceEvents(t *testing.T) {
	rails(t)
	run := func(command string) {
		t.Helper()
		f := strings.Fields(command)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	serial := time.Now().UnixNano() % 1e9
	netdev, name := fmt.Sprintf("wvn%d", serial), fmt.Sprintf("wvr%d", serial)
	run("ip link add " + netdev + " type dummy")
	// Not awaited: the kernel removes an rxe device when nobody has it open, and librdmacm keeps it until the process ends.
	defer func() {
		_ = exec.Command("sh", "-c", fmt.Sprintf("rdma link del %s; ip link del %s", name, netdev)).Start()
	}()
	run("ip link set " + netdev + " up")
	run("rdma link add " + name + " type rxe netdev " + netdev)
	d, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	run("ip link set " + netdev + " down")
	ctx := soon(t)
	for {
		e, err := d.NextEvent(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == EventPortError {
			if e.Port != 1 {
				t.Errorf("%+v", e)
			}
			break
		}
		t.Log(e.Type)
	}
	infos, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if i.Name == name && i.Ports[0].State != PortDown {
			t.Errorf("port is %s", i.Ports[0].State)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.NextEvent(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
