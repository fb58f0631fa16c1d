//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// leftoverMark names what the commands of an attack leave behind.
const leftoverMark = "98765.4321"

// attack is one thing that a user can do to the others, without any right that
// they lack.
type attack struct {
	name string
	sudo bool // sudo can be attacked in this way, or nobody is
	run  func(ctx context.Context, target string) error
}

// attacks are what `make bench ROWS=hostile` does to a machine.
var attacks = []attack{
	// The first two attack nothing of ours: what they cost is the system's own way of
	// sharing processors, below which no attack of that size can be.
	{"a crowd of 4 that only computes", true, func(ctx context.Context, _ string) error {
		return crowdOf(ctx, 4, "/bin/sh", "-c", "while :; do :; done")
	}},
	{"a crowd of 50 that only starts programs", true, func(ctx context.Context, _ string) error {
		return crowdOf(ctx, 50, "/usr/bin/setsid", "--wait", program)
	}},
	{"connect and close at the door", false, func(ctx context.Context, target string) error {
		return connectAndClose(ctx, "unix", filepath.Join(target, "run/door.sock"))
	}},
	{"connect and close at the API's socket", false, func(ctx context.Context, target string) error {
		return connectAndClose(ctx, "unix", filepath.Join(target, "run/api.sock"))
	}},
	{"connect and close at the broker's socket", false, func(ctx context.Context, target string) error {
		return connectAndClose(ctx, "unix", filepath.Join(target, "run/mqtt.sock"))
	}},
	{"connect and close at the API's port", false, func(ctx context.Context, target string) error {
		return connectAndClose(ctx, "tcp", port(target, "https"))
	}},
	{"connect and close at the broker's port", false, func(ctx context.Context, target string) error {
		return connectAndClose(ctx, "tcp", port(target, "mqtt"))
	}},
	{"a silent crowd", false, silentCrowd},
	{"big private copies", false, func(ctx context.Context, target string) error {
		program, err := bigProgram()
		if err != nil {
			return err
		}
		return callers(ctx, target, 32, program)
	}},
	{"leftovers", true, func(ctx context.Context, target string) error {
		return callers(ctx, target, 4, "/usr/bin/setsid", "-f", "/usr/bin/sleep", leftoverMark)
	}},
	{"a flood of elevations", true, func(ctx context.Context, target string) error {
		return callers(ctx, target, 50, program)
	}},
	{"argv of control characters", true, func(ctx context.Context, target string) error {
		return callers(ctx, target, 8, program, strings.Repeat("\x01", 100<<10))
	}},
}

// doAttack attacks target, an agent root or "sudo", until it is killed.
func doAttack(ctx context.Context, name, target string) error {
	for _, a := range attacks {
		if a.name == name {
			return a.run(ctx, target)
		}
	}
	return fmt.Errorf("no attack %q", name)
}

// together does the same n times at once until ctx ends or one cannot.
func together(ctx context.Context, n int, do func() error) error {
	errs := make(chan error, n)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := do(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	var joined []error
	for err := range errs {
		joined = append(joined, err)
	}
	return errors.Join(joined...)
}

// port is where a service listens.
func port(target, name string) string {
	var ports map[string]any
	data, err := os.ReadFile(filepath.Join(target, "run/ports.json"))
	if err == nil {
		err = json.Unmarshal(data, &ports)
	}
	number, _ := ports[name].(float64)
	if err != nil || number == 0 {
		return "127.0.0.1:1"
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(number)))
}

// connectAndClose does so as fast as it can.
func connectAndClose(ctx context.Context, network, address string) error {
	return together(ctx, 4, func() error {
		c, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return nil // a full queue is part of it
		}
		return c.Close()
	})
}

// silentCrowd holds as many connections as it can get, everywhere.
func silentCrowd(ctx context.Context, target string) error {
	var all sync.WaitGroup
	for _, at := range []struct{ network, address string }{
		{"unix", filepath.Join(target, "run/door.sock")}, {"unix", filepath.Join(target, "run/api.sock")},
		{"unix", filepath.Join(target, "run/mqtt.sock")}, {"tcp", port(target, "https")}, {"tcp", port(target, "mqtt")},
	} {
		for range 100 {
			all.Go(func() {
				for ctx.Err() == nil {
					if c, err := net.DialTimeout(at.network, at.address, time.Second); err == nil {
						c.Read(make([]byte, 1)) // until it is closed
						c.Close()
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
	}
	all.Wait()
	return nil
}

// callers elevate argv again and again, n at once. What becomes of it does not
// matter.
func callers(ctx context.Context, target string, n int, argv ...string) error {
	front := []string{"/usr/bin/sudo"}
	if target != "sudo" {
		front = []string{filepath.Join(target, "keepersudo"), "--root", target}
	}
	return crowdOf(ctx, n, append(front, argv...)...)
}

// crowdOf runs argv again and again, n at once. What becomes of it does not matter.
func crowdOf(ctx context.Context, n int, argv ...string) error {
	return together(ctx, n, func() error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if err := cmd.Start(); err != nil {
			time.Sleep(10 * time.Millisecond) // out of something: others have it
			return nil
		}
		_ = cmd.Wait()
		return nil
	})
}

// bigProgram makes a program of 32 MiB that its user can change.
func bigProgram() (string, error) {
	path := filepath.Join(os.Getenv("HOME"), "big")
	small, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, append(small, make([]byte, 32<<20-len(small))...), 0o755)
}
