//go:build linux

package installed

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// sessionsProgram is where the machine finds the tests of package platform/linux.
const sessionsProgram = "/opt/linux.test"

// TestSessions: two people log in through PAM, one on a terminal by login(1) and
// one as a display manager does. The port knows them, their processes, and starts
// programs as them.
func TestSessions(t *testing.T) {
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", box.Root+sessionsProgram, "kpm/platform/linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	loggedOut(t)
	before := lookAtSessions(t)
	for _, user := range []string{"1000", "1001"} {
		if strings.Contains(before, " of "+user+" ") {
			t.Fatalf("user %s is logged in before the test:\n%s", user, before)
		}
	}
	logInOnTerminal(t, "bob")
	// What a display manager asks pam_systemd for; a machine of tests has no
	// screen to log in on.
	run(t, "systemd-run", "--quiet", "--collect", "--unit=desk", "-p", "User=alice", "-p", "PAMName=login",
		"-E", "XDG_SESSION_TYPE=x11", "-E", "XDG_SESSION_CLASS=user", "-E", "DISPLAY=:7", "sleep", "600")
	t.Cleanup(func() { _, _ = box.Run(context.Background(), "systemctl", "stop", "desk.service") })
	// Alice's X server, and one of bob's that alice's session claims to be.
	run(t, "install", "-d", "-m", "1777", "/tmp/.X11-unix")
	run(t, "runuser", "-u", "alice", "--", "python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/.X11-unix/X8')")
	run(t, "runuser", "-u", "bob", "--", "python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/.X11-unix/X7')")

	var out string
	eventually(t, "two people are logged in", func() bool {
		out = lookAtSessions(t)
		return strings.Contains(out, " of 1000 graphical=true") && strings.Contains(out, " of 1001 graphical=false")
	})
	id := func(user string) string {
		found := regexp.MustCompile(`session (\w+) of `+user+` `).FindAllStringSubmatch(out, -1)
		if len(found) != 1 {
			t.Fatalf("user %s has %d sessions, expected one:\n%s", user, len(found), out)
		}
		return found[0][1]
	}
	alice, bob := id("1000"), id("1001")
	for _, line := range []string{
		"process of 1000 in " + alice + "\n", "process of 1001 in " + bob + "\n",
		"program: 1000/1000 alice /home/alice " + alice + " /run/user/1000 :8 writes\n",
		"program: 1001/1001 1002 bob /home/bob " + bob + " /run/user/1001 writes\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("missing %q in:\n%s", line, out)
		}
	}
	run(t, "systemctl", "stop", "desk.service")
	eventually(t, "alice is logged out", func() bool { return !strings.Contains(lookAtSessions(t), " of 1000 ") })
}

// lookAtSessions prints what the port says inside the machine.
func lookAtSessions(t *testing.T) string {
	t.Helper()
	return run(t, "env", "KPM_CONFORMANCE_HELPER="+root+"/keeperlaunch", sessionsProgram, "-test.v", "-test.run", "^TestSessionsOfThisMachine$")
}

// logInOnTerminal logs a user in as getty would, until the end of the test.
func logInOnTerminal(t *testing.T, user string) {
	t.Helper()
	cmd := box.Command(context.Background(), "script", "--quiet", "--command", "login -f "+user, "/dev/null")
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = typed.Write([]byte("exit\n"))
		typed.Close()
		_ = cmd.Wait()
	})
}

// run runs a command as root in the machine.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := box.Run(t.Context(), argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
