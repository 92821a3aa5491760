package main

import (
	"strings"
	"testing"
)

// TestUnknownCommand is refused at every level, with a status that scripts see.
func TestUnknownCommand(t *testing.T) {
	for _, args := range []string{"nothing", "admin nothing", "admin node nothing", "admin key nothing", "cluster nothing", "fabric nothing", "bench nothing"} {
		_, err := exec(t, newRootCommand(), strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), `unknown command "nothing"`) {
			t.Errorf("weft %s: %v", args, err)
		}
	}
	if _, err := exec(t, newRootCommand(), "admin", "role", "create"); err == nil || !strings.Contains(err.Error(), "create NAME FILE") {
		t.Errorf("weft admin role create: %v", err)
	}
	if out, err := exec(t, newRootCommand(), "admin", "node"); err != nil || !strings.Contains(out, "Available Commands") {
		t.Errorf("weft admin node: %q, %v", out, err)
	}
}
