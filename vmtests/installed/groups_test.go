//go:build linux

package installed

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// daemons is a command that starts three processes, all of them deaf to
// hangups: a child, one in a session of its own, and one that no parentage leads
// to, forked twice, each time into a session of its own.
const daemons = `trap "" HUP; setsid -f setsid -f sleep "$1"; setsid -f sleep "$1"; sleep "$1" & echo ready; `

// begin starts daemons as a command of alice's, followed by more, and returns
// when all three run. marker is how long they sleep; no other test may use it.
func begin(t *testing.T, marker, more string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	cmd = as(t.Context(), "alice", "keepersudo", "sh", "-c", daemons+more, "sh", marker)
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // the pipes are the daemons' too
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := stdout.Read(line); err != nil || string(line) != "ready\n" {
		t.Fatalf("%q, %v, %s", line, err, stderr)
	}
	eventually(t, "three processes run", func() bool { return len(sleeping(t, marker)) == 3 })
	return cmd, stderr
}

// sleeping lists those of the three that run.
func sleeping(t *testing.T, marker string) []string { return running(t, "sleep", marker) }

func pkill(t *testing.T, argv ...string) {
	t.Helper()
	if _, err := box.Run(t.Context(), append([]string{"pkill"}, argv...)...); err != nil {
		t.Fatal(err)
	}
}

// tail returns the journal's records as they are.
func tail(t *testing.T, of string) (records []string) {
	t.Helper()
	out, err := box.Run(t.Context(), root+"/KeeperAdminCLI", "audit", "tail", "-n", "100000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	id := ""
	for line := range strings.Lines(out) {
		var r struct {
			Request string
			Argv    []string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(r.Argv) > 0 && r.Argv[len(r.Argv)-1] == of {
			id = r.Request
		}
		if id != "" && r.Request == id {
			records = append(records, line)
		}
	}
	return records
}

// has reports whether one record of the request that marker names holds all
// texts.
func has(t *testing.T, marker string, texts ...string) bool {
	t.Helper()
records:
	for _, record := range tail(t, marker) {
		for _, text := range texts {
			if !strings.Contains(record, text) {
				continue records
			}
		}
		return true
	}
	return false
}

// TestCallerGone: kill -9 of keepersudo. Everything that the command has
// started ends, daemons included: they cannot leave the command's cgroup.
func TestCallerGone(t *testing.T) {
	const marker = "100001"
	cmd, _ := begin(t, marker, "wait")
	if !has(t, marker, `"launched"`, "/kpm/kpm-") {
		t.Errorf("the launch group is no cgroup: %v", tail(t, marker))
	}
	pkill(t, "-KILL", "-x", "-f", ".*keepersudo sh -c .*"+marker)
	_ = cmd.Wait()
	eventually(t, "all of them have ended", func() bool { return len(sleeping(t, marker)) == 0 })
	eventually(t, "it is on record", func() bool { return has(t, marker, `"ended"`) })
	verified(t)
}

// TestCommandEnds: what a command leaves behind stays, as with sudo, and is on
// record until it has ended.
func TestCommandEnds(t *testing.T) {
	const marker = "100002"
	cmd, _ := begin(t, marker, "exit 3")
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("exit status %d", cmd.ProcessState.ExitCode())
	}
	eventually(t, "left is on record", func() bool { return has(t, marker, `"left"`) })
	if got := sleeping(t, marker); len(got) != 3 {
		t.Errorf("processes: %v, expected three", got)
	}
	pkill(t, "-KILL", "-x", "-f", "sleep "+marker)
	eventually(t, "gone is on record after the next command", func() bool {
		return says(t, "alice", "keepersudo", "true").Status == 0 && has(t, marker, `"gone"`)
	})
	verified(t)
}

// TestRestart: `systemctl restart` ends no command, and its caller hears of its
// end from the service of after the restart.
func TestRestart(t *testing.T) {
	const marker = "100003"
	cmd, stderr := begin(t, marker, "wait; exit 7")
	systemctl(t, "restart")
	outlives(t, marker, cmd, stderr)
}

// TestServiceKilled: nor does kill -9 of the service, which systemd starts again.
func TestServiceKilled(t *testing.T) {
	const marker = "100004"
	cmd, stderr := begin(t, marker, "wait; exit 7")
	main := func() string { return strings.TrimSpace(run(t, "systemctl", "show", "-P", "MainPID", service)) }
	killed := main()
	if _, err := box.Run(t.Context(), "systemctl", "kill", "--kill-whom=main", "--signal=KILL", service); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another one runs", func() bool { now := main(); return now != killed && now != "0" })
	if err := ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	outlives(t, marker, cmd, stderr)
}

// outlives expects of the command that marker names that it runs, daemons
// included, that its caller waits for it, and that both are told how it ends.
func outlives(t *testing.T, marker string, cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	if said := says(t, "alice", "keepersudo", "true"); said.Status != 0 {
		t.Errorf("the service does not work: %+v", said)
	}
	if got := sleeping(t, marker); len(got) != 3 {
		t.Errorf("processes: %v, expected three", got)
	}
	pkill(t, "-KILL", "-x", "-f", "sleep "+marker)
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("its caller was told %d, %s", cmd.ProcessState.ExitCode(), stderr)
	}
	eventually(t, "its end is on record", func() bool { return has(t, marker, `"ended"`) })
	verified(t)
}
