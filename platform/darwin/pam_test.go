//go:build linux

package darwin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/platform/unix/pam"
)

// How a keeperpam is started, watched and ended is plain Unix but for the process
// table. What it says, and what is made of that, package pam tests where people can
// log in.

// A keeperpam has the connection and its own session, and ends with what it has
// started, whatever session that is in.
func TestKeeperpamEndsWithWhatItHasStarted(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "keeperpam")
	script := fmt.Sprintf("#!/bin/sh\nsetsid sleep 1000 &\necho $! >%[1]s/new\nmv %[1]s/new %[1]s/pid\nwait\n", dir)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	k, err := startKeeperpam(newTree(linux{}), func() (string, error) { return program, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer k.Conn().Close()
	var other int
	for until := time.Now().Add(time.Minute); other == 0; time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(dir, "pid"))
		fmt.Sscan(string(text), &other)
		if time.Now().After(until) {
			t.Fatal("it does not run")
		}
	}
	if p, ok := (linux{}).process(k.id.PID); !ok || p.Session != k.id.PID || p.Start != k.id.Start {
		t.Errorf("%+v leads no session", p)
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", k.id.PID))
	if err != nil || len(open) < 4 {
		t.Fatalf("%q, %v", open, err)
	}
	for _, fd := range open {
		if leads, _ := os.Readlink(fd); leads != os.DevNull && leads != program && (filepath.Base(fd) != "3" || !strings.HasPrefix(leads, "socket:")) {
			t.Errorf("it has %s open, at %s", leads, fd)
		}
	}
	gone := make(chan struct{})
	go func() { k.Wait(); close(gone) }()
	k.Kill()
	<-gone
	if p, ok := (linux{}).process(other); ok && !p.Zombie {
		t.Errorf("%+v is left", p)
	}
	k.Kill() // there is nobody any more
}

// Attack: a keeperpam that somebody else can change is started as root.
func TestKeeperpamIsLookedAt(t *testing.T) {
	refused := errors.New("somebody can change it")
	p := newPAM(linux{}, func() (string, error) { return "", refused })
	defer p.Close()
	if _, err := p.Ask(pam.Question{Kind: pam.Authenticate, User: "anna"}); !errors.Is(err, refused) {
		t.Errorf("%v, expected %v", err, refused)
	}
}

// A Mac's way of asking has PAM's real answers: the program of this system stands in
// for OpenPAM's.
func TestKeeperpamAnswers(t *testing.T) {
	path := builtKeeperpam(t)
	p := newPAM(linux{}, func() (string, error) { return path, nil })
	defer p.Close()
	process, err := p.Ask(pam.Question{Kind: "nonsense", User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := process.Receive(t.Context())
	process.Close()
	process.End()
	if err != nil || m.Kind != pam.Done || m.Code == 0 {
		t.Errorf("%+v, %v", m, err)
	}
}
