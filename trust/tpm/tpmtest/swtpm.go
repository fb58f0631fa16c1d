// Package tpmtest gives tests a TPM: swtpm, a process for each test, or the
// device that KPM_TPM names, for the tests that begin with TestDevice. It is no
// part of the product.
package tpmtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Device returns the TPM that KPM_TPM names, or a new one.
func Device(tb testing.TB) string {
	tb.Helper()
	if device := os.Getenv("KPM_TPM"); device != "" {
		return device
	}
	return New(tb)
}

// New starts a TPM that nobody has used, and returns its device.
func New(tb testing.TB) string {
	tb.Helper()
	return Start(tb, tb.TempDir())
}

// Start starts the TPM whose state is in dir, and returns its device. It ends
// with the test.
func Start(tb testing.TB, dir string) string {
	tb.Helper()
	device := Socket(tb)
	tb.Cleanup(Run(tb, dir, device))
	return device
}

// Socket returns a path for Run.
func Socket(tb testing.TB) string {
	tb.Helper()
	// Names of local sockets are short: 108 bytes on Linux.
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// Run starts the TPM whose state is in dir at a path of Socket's, and returns
// what switches it off.
func Run(tb testing.TB, dir, device string) (stop func()) {
	tb.Helper()
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+device, "--flags", "not-need-init,startup-clear")
	var said bytes.Buffer // mostly that clients come and go
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v: is the package swtpm installed?", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = os.Remove(device)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", device); err == nil {
			conn.Close()
			return stop
		}
		if time.Now().After(deadline) {
			stop()
			tb.Fatalf("swtpm does not listen: %s", said.Bytes())
		}
	}
}
