package main

import (
	"context"
	"fmt"
	"time"
)

// targetState is what `weft admin status` tells of a target.
type targetState struct {
	Name     string
	Usable   bool
	Draining bool
	Chunks   uint64
}

func (c *cluster) status(ctx context.Context, gateway int) (list []targetState, damaged int64, err error) {
	var s struct {
		Targets     []targetState
		DamagedSets int64 `json:"damaged_sets"`
	}
	err = c.admin(ctx, gateway, &s, "status")
	return s.Targets, s.DamagedSets, err
}

// usable waits until every gateway uses all targets.
func (c *cluster) usable(ctx context.Context) error {
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pause(ctx, 100*time.Millisecond) {
		if err = c.usableNow(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (c *cluster) usableNow(ctx context.Context) error {
	for i := range c.gateways {
		list, _, err := c.status(ctx, i)
		if err != nil {
			return err
		}
		n := 0
		for _, t := range list {
			if t.Usable && !t.Draining {
				n++
			}
		}
		if want := c.o.nodes * c.o.each; n != want {
			return fmt.Errorf("gw%d uses %d of %d targets: %+v", i, n, want, list)
		}
	}
	return nil
}

func (c *cluster) chunksOf(ctx context.Context, target string) (uint64, error) {
	list, _, err := c.status(ctx, 0)
	for _, t := range list {
		if t.Name == target {
			return t.Chunks, err
		}
	}
	return 0, fmt.Errorf("no target %s: %+v, %w", target, list, err)
}

// damaged is how many parts wait for repair.
func (c *cluster) damaged(ctx context.Context) (int64, error) {
	_, n, err := c.status(ctx, 0)
	return n, err
}

// leading runs an admin command at the gateway that leads.
func (c *cluster) leading(ctx context.Context, result any, args ...string) (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); pause(ctx, time.Second) {
		for i := range c.gateways {
			if err = c.admin(ctx, i, result, args...); err == nil {
				return nil
			}
		}
	}
	return err
}
