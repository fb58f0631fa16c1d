//go:build linux

package installed

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestUnit: what the unit gives the service, the service has, and an elevated
// command does not. One case for each directive that a process would inherit.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile(box.Root + "/etc/systemd/system/" + service)
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(run(t, "systemctl", "show", "-P", "MainPID", service))
	of := func(field string) func(string) string { // of a process's status
		return func(status string) string {
			found := regexp.MustCompile(`(?m)^` + field + `:\s*(.*)$`).FindStringSubmatch(status)
			if found == nil {
				t.Fatalf("no %s in %s", field, status)
			}
			return found[1]
		}
	}
	whole := strings.TrimSpace
	for _, tc := range []struct {
		directive, file  string
		read             func(string) string
		service, command string
	}{
		{"UMask=0077", "status", of("Umask"), "0077", "0022"},
		{"CoredumpFilter=elf-headers", "coredump_filter", whole, "00000010", "00000033"},
	} {
		if tc.directive != "" && !strings.Contains(string(unit), "\n"+tc.directive+"\n") {
			t.Errorf("the unit has no %s", tc.directive)
		}
		if got := tc.read(run(t, "cat", "/proc/"+pid+"/"+tc.file)); got != tc.service {
			t.Errorf("%s: the service has %q, expected %q", tc.directive, got, tc.service)
		}
		if got := tc.read(says(t, "alice", "keepersudo", "cat", "/proc/self/"+tc.file).Stdout); got != tc.command {
			t.Errorf("%s: a command has %q, expected %q", tc.directive, got, tc.command)
		}
	}
	// What is left out: nothing is taken from what people elevate.
	first := run(t, "cat", "/proc/1/status")
	for _, field := range []string{"NoNewPrivs", "Seccomp_filters", "CapBnd"} {
		want := of(field)(first)
		if got := of(field)(run(t, "cat", "/proc/"+pid+"/status")); got != want {
			t.Errorf("%s: the service has %s, the machine's first process %s", field, got, want)
		}
		if got := of(field)(says(t, "alice", "keepersudo", "cat", "/proc/self/status").Stdout); got != want {
			t.Errorf("%s: a command has %s, the machine's first process %s", field, got, want)
		}
	}
	for _, property := range []string{"OOMPolicy=continue", "KeyringMode=private", "OOMScoreAdjust=-900"} {
		if name, _, _ := strings.Cut(property, "="); strings.TrimSpace(run(t, "systemctl", "show", "-p", name, service)) != property {
			t.Errorf("systemd does not have %s", property)
		}
	}
}

// TestCommandsAreNotProtectedFromMemory: the score by which the kernel chooses whom
// to end is not the service's. A container may not lower one, so it is raised here;
// -900 itself is looked at by make vmtest.
func TestCommandsAreNotProtectedFromMemory(t *testing.T) {
	at := "/etc/systemd/system/" + service + ".d"
	run(t, "mkdir", "-p", at)
	if err := os.WriteFile(box.Root+at+"/score.conf", []byte("[Service]\nOOMScoreAdjust=600\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		run(t, "systemctl", "daemon-reload")
		systemctl(t, "restart")
	}
	restart()
	defer func() {
		run(t, "rm", "-r", at)
		restart()
	}()
	pid := strings.TrimSpace(run(t, "systemctl", "show", "-P", "MainPID", service))
	if got := run(t, "cat", "/proc/"+pid+"/oom_score_adj"); got != "600\n" {
		t.Errorf("the service has %q, expected 600", got)
	}
	first := run(t, "cat", "/proc/1/oom_score_adj")
	if got := says(t, "alice", "keepersudo", "cat", "/proc/self/oom_score_adj"); got.Stdout != first {
		t.Errorf("a command has %+v, the machine's first process %q", got, first)
	}
}

// TestWhatCommandsHave: resource limits are those of any service, and not what the
// Go runtime made of them; the kernel's audit names the person who asked; the
// namespaces are those of the machine; keys are nobody else's.
func TestWhatCommandsHave(t *testing.T) {
	usual := run(t, "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "cat", "/proc/self/limits")
	if got := says(t, "alice", "keepersudo", "cat", "/proc/self/limits"); got.Stdout != usual {
		t.Errorf("limits of a command:\n%sof a service:\n%s", got.Stdout, usual)
	}
	got := run(t, "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "User=alice", "-p", "PAMName=login", "-E", "PATH=/usr/local/bin:/usr/bin:/bin",
		"sh", "-c", "cat /proc/self/loginuid; echo; keepersudo cat /proc/self/loginuid")
	if got != "1000\n1000" {
		t.Errorf("loginuid of alice and of her command: %q, expected 1000 twice", got)
	}
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts", "user", "cgroup"} {
		first := run(t, "readlink", "/proc/1/ns/"+kind)
		if got := says(t, "alice", "keepersudo", "readlink", "/proc/self/ns/"+kind); got.Stdout != first {
			t.Errorf("namespace %s: a command has %+v, the machine %q", kind, got, first)
		}
	}
}
