//go:build linux

package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// crowd is `crowd UID close|hold N NETWORK ADDRESS`: become that user, and
// connect N times at once, again and again: to close at once, or to hold the
// connection and say nothing.
func crowd() {
	uid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		die(err)
	}
	n, err := strconv.Atoi(os.Args[3])
	if err != nil {
		die(err)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
		die(err)
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				c, err := net.DialTimeout(os.Args[4], os.Args[5], time.Second)
				if err != nil {
					continue // a full queue is part of it
				}
				if os.Args[2] == "hold" {
					c.Read(make([]byte, 1<<10)) // until it is closed
				}
				c.Close()
			}
		})
	}
	all.Wait()
}

// startCrowd has one until the end of the test, or until the result is called.
func startCrowd(t *testing.T, uid int, how string, n int, network, address string) (stop func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"crowd", strconv.Itoa(uid), how, strconv.Itoa(n), network, address}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return stop
}
