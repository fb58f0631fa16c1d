//go:build linux

package installed

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shownBy are the tests that show what a directive of the unit does; a name alone is
// text for people.
var shownBy = map[string]string{
	"Description=Keeper Privilege Manager":                             "",
	"Documentation=man:KeeperAdminCLI(1)":                              "",
	"After=local-fs.target nss-user-lookup.target":                     "TestUnit",
	"StartLimitIntervalSec=60":                                         "TestAServiceThatCannotStart",
	"StartLimitBurst=5":                                                "TestAServiceThatCannotStart",
	"Type=notify":                                                      "TestStartReturnsWhenRequestsAreServed",
	"ExecStart=/opt/KeeperPrivilegeManager/KeeperPrivilegeManager run": "TestUnit",
	"ExecReload=/bin/kill -HUP $MAINPID":                               "TestReload",
	"ExecReload=-/opt/KeeperPrivilegeManager/KeeperAdminCLI reload":    "TestReload",
	"KillMode=process":                                                 "TestRestart",
	"Restart=always":                                                   "TestServiceKilled",
	"RestartSec=1":                                                     "TestServiceKilled",
	"WatchdogSec=240":                                                  "TestAServiceThatHasStopped",
	"Delegate=yes":                                                     "TestCommandEnds",
	"OOMScoreAdjust=-900":                                              "TestCommandsAreNotProtectedFromMemory",
	"OOMPolicy=continue":                                               "TestUnit",
	"CoredumpFilter=elf-headers":                                       "TestUnit",
	"UMask=0077":                                                       "TestUnit",
	"KeyringMode=private":                                              "TestUnit",
	"WantedBy=multi-user.target":                                       "TestUnit",
}

// together is what names of directives that belong together begin with.
var together = regexp.MustCompile(`^(StartLimit|Restart|[A-Za-z]+)`)

// speaking are the directives that say by themselves what they are for.
var speaking = map[string]bool{"Description": true, "Documentation": true, "ExecStart": true, "WantedBy": true}

// TestEveryDirective: each directive of the unit is explained where it stands, and held
// to what it is for.
func TestEveryDirective(t *testing.T) {
	unit, err := os.ReadFile(box.Root + "/etc/systemd/system/" + service)
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	seen := map[string]bool{}
	explained, before := false, ""
	for line := range strings.Lines(string(unit)) {
		line = strings.TrimSpace(line)
		name, _, is := strings.Cut(line, "=")
		if strings.HasPrefix(line, "#") || line == "" || strings.HasPrefix(line, "[") {
			explained, before = strings.HasPrefix(line, "#"), ""
			continue
		}
		// One comment is for directives that belong together: of one name or beginning.
		if !explained && (before == "" || !strings.HasPrefix(name, before)) && !speaking[name] {
			t.Errorf("%s: say in the unit what it is for", line)
		}
		explained, before = false, together.FindString(name)
		test, known := shownBy[line]
		switch seen[line] = true; {
		case !is || !known:
			t.Errorf("%s: no test shows what it does", line)
		case test != "" && !strings.Contains(source.String(), "func "+test+"("):
			t.Errorf("%s: there is no %s", line, test)
		}
	}
	for line := range shownBy {
		if !seen[line] {
			t.Errorf("%s: the unit does not have it", line)
		}
	}
}

// dropIn lays lines over the unit's, and takes them away with the test.
func dropIn(t *testing.T, lines string) {
	t.Helper()
	at := "/etc/systemd/system/" + service + ".d"
	run(t, "mkdir", "-p", at)
	if err := os.WriteFile(box.Root+at+"/test.conf", []byte("[Service]\n"+lines+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		_ = os.RemoveAll(box.Root + at)
		restored(t)
	})
}

// restored has the service run as the unit says.
func restored(t *testing.T) {
	for _, command := range [][]string{{"daemon-reload"}, {"reset-failed", service}, {"restart", service}} {
		if out, err := box.Run(context.Background(), append([]string{"systemctl"}, command...)...); err != nil {
			t.Errorf("%v: %v: %s", command, err, out)
		}
	}
	if err := ready(context.Background()); err != nil {
		t.Error(err)
	}
}

func property(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "systemctl", "show", "-P", name, service))
}

// TestStartReturnsWhenRequestsAreServed: whoever has started the service need not wait
// for it.
func TestStartReturnsWhenRequestsAreServed(t *testing.T) {
	for range 3 {
		run(t, "systemctl", "reset-failed", service)
		run(t, "systemctl", "restart", service)
		// keepersudo itself would wait for a service that is restarted.
		if out, err := box.Run(t.Context(), root+"/KeeperAdminCLI", "status"); err != nil {
			t.Errorf("right after systemctl restart: %v: %s", err, out)
		}
		if said := says(t, "alice", "keepersudo", "-n", "true"); said.Status != 0 {
			t.Errorf("right after systemctl restart: %+v", said)
		}
	}
}

// TestAServiceThatHasStopped: one that says nothing any more is ended, and another one
// serves requests. The unit's own time is as long as a disk may take.
func TestAServiceThatHasStopped(t *testing.T) {
	dropIn(t, "WatchdogSec=3")
	systemctl(t, "restart")
	stopped := property(t, "MainPID")
	for range 3 { // one that answers is left alone
		heard := property(t, "WatchdogTimestampMonotonic")
		eventually(t, "systemd hears of the service again", func() bool { return property(t, "WatchdogTimestampMonotonic") != heard })
	}
	if now := property(t, "MainPID"); now != stopped {
		t.Errorf("a service that answers was ended: %s, and now %s", stopped, now)
	}
	run(t, "kill", "-STOP", stopped)
	eventually(t, "another one runs", func() bool { now := property(t, "MainPID"); return now != stopped && now != "0" })
	if err := ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := says(t, "alice", "keepersudo", "true"); said.Status != 0 {
		t.Errorf("after the watchdog: %+v", said)
	}
	if log := run(t, "journalctl", "--no-pager", "-u", service); !regexp.MustCompile(`(?i)watchdog timeout`).MatchString(log) {
		t.Errorf("nothing says why:\n%s", log)
	}
	verified(t)
}

// TestAServiceThatCannotStart: it is tried five times, then given up; what is wrong is
// in the system's log, and once it is right the service starts as ever.
func TestAServiceThatCannotStart(t *testing.T) {
	path := box.Root + root + "/appsettings.json"
	before, err := os.ReadFile(path)
	missing := os.IsNotExist(err)
	if err != nil && !missing {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if missing {
			_ = os.Remove(path)
		} else {
			_ = os.WriteFile(path, before, 0o644)
		}
		restored(t)
	})
	run(t, "systemctl", "reset-failed", service)
	run(t, "systemctl", "stop", service)
	if err := os.WriteFile(path, []byte("{\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := box.Run(t.Context(), "systemctl", "start", service); err == nil {
		t.Errorf("it starts: %s", out)
	}
	eventually(t, "it is given up", func() bool { return property(t, "ActiveState") == "failed" })
	if got := property(t, "NRestarts"); got != "5" && got != "4" {
		t.Errorf("it was started again %s times, expected five starts", got)
	}
	if log := run(t, "journalctl", "--no-pager", "-u", service, "-n", "60"); !strings.Contains(log, "appsettings.json") {
		t.Errorf("nothing says why:\n%s", log)
	}
}
