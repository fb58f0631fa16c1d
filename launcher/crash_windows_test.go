package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"kpm/core"
	"kpm/launcher/seal"
)

// TestMain is also the service that is killed, and the command that it runs.
func TestMain(m *testing.M) {
	own, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(os.Args) == 3 && os.Args[1] == "mark" {
		mark(os.Args[2])
	}
	// Whoever runs the tests puts it there: there may be no compiler here.
	helper = filepath.Join(filepath.Dir(own), "keeperlaunch.exe")
	if root := os.Getenv("LAUNCHER_TEST_SERVICE"); root != "" {
		serveForever(root) // this process is to be killed
	}
	os.Exit(m.Run())
}

// mark leaves a file by the name of its parent, which is the child that the journal
// names, and stays.
func mark(dir string) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getppid())), nil, 0o600); err != nil {
		os.Exit(1)
	}
	time.Sleep(time.Hour)
	os.Exit(0)
}

func newRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	return root
}

// mark runs the command of that name as whoever runs the tests, in their session.
func (m *machine) mark(started func()) {
	if err := m.marking(started); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func (m *machine) marking(started func()) error {
	self := m.host.Tree.Self()
	session, err := m.host.Sessions.Of(self)
	if err != nil {
		return err
	}
	sessions, err := m.host.Sessions.List(context.Background())
	if err != nil || len(sessions) == 0 {
		return errors.Join(errors.New("nobody is logged in"), err)
	}
	user := sessions[0].User
	own, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := m.host.Files.Locate(own)
	if err != nil {
		return err
	}
	dir, err := os.Open(m.root)
	if err != nil {
		return err
	}
	k := Submission{Request: seal.Request{
		Peer:    core.Peer{User: user, Login: user, Session: session, Processes: []core.ProcessID{self}, SameIdentity: true},
		Command: own, Executable: program, TargetUser: "#" + string(user), Argv: []string{own, "mark", filepath.Join(m.root, "marks")}, Dir: dir,
	}}
	for _, stream := range []**os.File{&k.Streams.Input, &k.Streams.Output, &k.Streams.Error} {
		if *stream, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return err
		}
	}
	if result := m.Elevate(context.Background(), k, startedCaller{started: started}, nil); result.Refused != nil {
		return result.Refused
	}
	return nil
}

// startedCaller is a caller that hears of the start and of nothing else.
type startedCaller struct {
	Caller
	started func()
}

func (c startedCaller) Tell(string) error { return nil }

func (c startedCaller) Started() error {
	c.started()
	return nil
}

// stillHeld: a helper has no name by which it is known here; that the child is gone
// says the test itself.
func stillHeld(string) bool { return false }
