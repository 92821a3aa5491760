package verbs

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
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
	run("ip link add wvnet type dummy")
	defer run("ip link del wvnet")
	run("ip link set wvnet up")
	run("rdma link add wvrxe type rxe netdev wvnet")
	defer run("rdma link del wvrxe")
	d, err := Open("wvrxe")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	run("ip link set wvnet down")
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
		if i.Name == "wvrxe" && i.Ports[0].State != PortDown {
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
