//go:build darwin

package darwin

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/platform/darwin/tool"
	"kpm/platform/unix/pam"
)

// What the suite of every launcher does not ask of a Mac: the other ports, where they
// make calls of it. They need root.

func TestClock(t *testing.T) {
	boot, before, err := Clock{}.Now()
	if err != nil || boot == "" || before <= 0 {
		t.Fatalf("%q, %v, %v", boot, before, err)
	}
	again, after, err := Clock{}.Now()
	if err != nil || again != boot || after < before {
		t.Errorf("%q, %v after %q, %v: %v", again, after, boot, before, err)
	}
}

// This process is found, with what it descends from and its terminal, if there is one.
func TestOwnAncestors(t *testing.T) {
	self := NewTree().Self()
	list, err := NewAncestry().Ancestors(self)
	if err != nil || len(list) == 0 || list[0].ID != self || list[0].Program == "" || len(list[0].Names) == 0 {
		t.Errorf("%+v, %v", list, err)
	}
	terminal, err := Sessions{}.Terminal(self)
	if err != nil || len(list) > 0 && terminal.None() != (list[0].Terminal == "") {
		t.Errorf("%+v, %v", terminal, err)
	}
	if user, err := NewAncestry().Starter(self); err != nil || user != userID(uint32(os.Getuid())) {
		t.Errorf("%q, %v", user, err)
	}
}

// launchd takes an alarm, knows it, and forgets it.
func TestAlarmsOfLaunchd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this needs root")
	}
	a := NewAlarms(filepath.Join(t.TempDir(), "alarms"))
	knows := func() bool { return exec.Command(tool.Launchctl, "print", tool.AlarmService("Test")).Run() == nil }
	for range 2 { // the second one replaces the first
		if err := a.Set(t.Context(), "Test", time.Hour, []string{"/usr/bin/true"}); err != nil || !knows() {
			t.Fatalf("%v, launchd knows it: %t", err, knows())
		}
	}
	for range 2 {
		if err := a.Clear(t.Context(), "Test"); err != nil || knows() {
			t.Errorf("%v, launchd knows it: %t", err, knows())
		}
	}
}

// The machine's keychain is read, and has no such certificate.
func TestKeychain(t *testing.T) {
	if _, _, err := (CertificateStore{}).Certificate(strings.Repeat("ab", 20)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
}

// OpenPAM answers keeperpam. Without a file for us nobody is asked, and it is said so.
func TestOpenPAM(t *testing.T) {
	path := builtKeeperpam(t)
	p := newPAM(mac{}, func() (string, error) { return path, nil })
	defer p.Close()
	process, err := p.Ask(pam.Question{Kind: "nonsense", User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := process.Receive(t.Context())
	process.Close()
	process.End()
	if err != nil || m.Kind != pam.Done || !strings.Contains(m.Text, "is no question") {
		t.Errorf("%+v, %v: pam_start did not succeed", m, err)
	}
	if err := p.Missing(); err != nil {
		if err := p.Authenticate(t.Context(), core.Account{User: "0", Name: "root"}, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v, want errors.ErrUnsupported", err)
		}
	}
}
