//go:build linux

package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// readyCases is a file of cases of docs/policies.
type readyCases struct {
	Files    map[string]string
	Defaults readyCase
	Cases    []readyCase
}

type readyCase struct {
	Name, User, Target, At, RequestedBy, Expect string
	Groups, Command, Controls                   []string
}

// hostile are variables by which programs of the ready policies can be told what to run
// or to read. None may reach one.
var hostile = []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GCONV_PATH", "BASH_ENV", "ENV", "SHELLOPTS", "PS4", "PYTHONPATH", "PERL5OPT",
	"APT_CONFIG", "DPKG_ROOT", "PAGER", "SYSTEMD_PAGER", "SYSTEMD_EDITOR", "EDITOR", "VISUAL", "SUDO_EDITOR", "LESSOPEN", "LESS", "PSQLRC", "PGSERVICEFILE",
	"PSQL_PAGER", "DOCKER_HOST", "DOCKER_CONFIG", "COMPOSE_FILE", "MAKEFLAGS", "MAKEFILES", "CARGO_HOME", "RUSTC_WRAPPER", "HOME", "TMPDIR"}

// people are those of the cases, by number.
var people = []string{6001: "alice", 6002: "coder", 6003: "mallory", 6004: "build", 6005: "postgres", 6006: "bob"}

// TestReadyPoliciesInForce: each policy of docs/policies does its job and withstands the
// attacks of its cases, put in force as it is, with a request by keepersudo for each. The
// programs are stand-ins that say that they ran, and with what environment.
func TestReadyPoliciesInForce(t *testing.T) {
	files, err := filepath.Glob("../../docs/policies/*.cases.json")
	if err != nil || len(files) != 12 {
		t.Fatal(files, err)
	}
	a := laidOut(t, "[]")
	standIns(t)
	t.Cleanup(func() { _ = a.Kill() })
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	lines := ""
	for line := range strings.Lines(string(passwd)) {
		if name, _, _ := strings.Cut(line, ":"); !slices.Contains(people, name) { // who has the name of one of them here
			lines += line
		}
	}
	for uid, name := range people {
		if name != "" {
			lines += fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, uid, uid)
		}
	}
	etc(t, "passwd", lines)
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	etc(t, "group", string(group))
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".cases.json")
		t.Run(name, func(t *testing.T) {
			var cases readyCases
			data, err := os.ReadFile(file)
			if err != nil || json.Unmarshal(data, &cases) != nil {
				t.Fatalf("%v: %s", err, data)
			}
			inForce(t, a, filepath.Join(filepath.Dir(file), name+".json"))
			for path, to := range cases.Files {
				furnish(t, atRoot(a, path), atRoot(a, to))
			}
			if out, err := a.Admin(t.Context(), "policy", "lint", filepath.Join(filepath.Dir(file), name+".json")); err != nil {
				t.Error(out, err)
			}
			attacks := 0
			for _, c := range cases.Cases {
				c.User, c.Target, c.Expect = cmp.Or(c.User, cases.Defaults.User), cmp.Or(c.Target, cases.Defaults.Target, "root"), cmp.Or(c.Expect, cases.Defaults.Expect)
				if c.Groups == nil {
					c.Groups = cases.Defaults.Groups
				}
				// Other times, and users of a domain, are for `policy test`; who is behind a
				// request is shown by TestATimeForAdministrators.
				if c.At != "" || c.RequestedBy != "" || strings.Contains(c.User, `\`) {
					continue
				}
				if c.Expect == "DENY" {
					attacks++
				}
				readyCaseHolds(t, a, c, string(group))
			}
			if attacks < 4 && name != "time-boxed-admin" {
				t.Errorf("%d attacks", attacks)
			}
		})
	}
}

// TestATimeForAdministrators: the ready policy for that, with its dates moved: while they
// last a person at a terminal is asked for a reason, once for an hour, and neither a
// coding agent nor a service is; before and after them nobody is.
func TestATimeForAdministrators(t *testing.T) {
	data, err := os.ReadFile("../../docs/policies/time-boxed-admin.json")
	var policy map[string]any
	if err == nil {
		err = json.Unmarshal(data, &policy)
	}
	if err != nil {
		t.Fatal(err)
	}
	lasting := func(from, to string) string {
		t.Helper()
		policy["UserCheck"] = []string{"#4242"}
		policy["DateCheck"] = []map[string]string{{"StartDate": from, "EndDate": to}}
		delete(policy, "TimeCheck")
		delete(policy, "DayCheck")
		text, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	a := newAgent(t, lasting("2020-01-01", "2999-12-31"), nil)
	s := newShell(t, a)
	coding := codingAgent(t, "keepersudo -n id -u")
	none := "No policy allows this command for you"
	if out := s.run("keepersudo -n id -u"); !strings.Contains(out, forbids) {
		t.Errorf("nothing is asked: %q", out)
	}
	if out := s.reasoned("keepersudo --for 1h id -u"); !strings.Contains(out, "It is remembered for 1h.") {
		t.Errorf("for an hour: %q", out)
	}
	if out := s.run("keepersudo -n whoami"); !strings.Contains(out, "\nroot\r") {
		t.Errorf("within the hour: %q", out)
	}
	for who, line := range map[string]string{"a coding agent": coding, "a service": "setsid -w keepersudo -n id -u", "as somebody else": "keepersudo -n -u daemon id -u"} {
		if out := s.run(line); !strings.Contains(strings.Join(strings.Fields(out), " "), none) {
			t.Errorf("%s: %q", who, out)
		}
	}
	refuses(t, "somebody else", a.Sudo(t.Context(), 4243, "id"), none)
	for when, text := range map[string]string{"it is over": lasting("2020-01-01", "2020-01-02"), "it has not begun": lasting("2999-01-01", "2999-12-31")} {
		if err := a.Write("Policies/policy.json", text); err != nil {
			t.Fatal(err)
		}
		eventually(t, when, func() bool { return strings.Contains(s.run("keepersudo -n whoami"), none) })
		if err := a.Write("Policies/policy.json", lasting("2020-01-01", "2999-12-31")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it goes on", func() bool { return !strings.Contains(s.run("keepersudo -n whoami"), none) })
	}
}

// readyCaseHolds has keepersudo ask what a case asks.
func readyCaseHolds(t *testing.T, a *agent.Agent, c readyCase, group string) {
	t.Helper()
	uid := uint32(slices.Index(people, c.User))
	numbers := []uint32{}
	add := func(name string, number int, members string) {
		lines := slices.DeleteFunc(strings.SplitAfter(group, "\n"), func(line string) bool { return strings.HasPrefix(line, name+":") })
		group = strings.Join(lines, "") // the machine may have one of that name
		group += fmt.Sprintf("%s:x:%d:%s\n", name, number, members)
	}
	for i, name := range c.Groups {
		if name == c.User {
			continue // everybody has a group of their own
		}
		numbers = append(numbers, uint32(6100+i))
		add(name, 6100+i, c.User)
	}
	for uid, name := range people {
		if name != "" {
			add(name, uid, "")
		}
	}
	if err := errors.Join(os.WriteFile("/etc/group.next", []byte(group), 0o644), os.Rename("/etc/group.next", "/etc/group")); err != nil {
		t.Fatal(err)
	}
	command := slices.Clone(c.Command)
	for i := range command {
		command[i] = atRoot(a, command[i])
	}
	if own := filepath.Clean(command[0]); strings.HasPrefix(own, "/home/") {
		if _, err := os.Lstat(own); errors.Is(err, os.ErrNotExist) { // a program of the attacker's
			furnish(t, own, own)
			if err := os.Chown(own, int(uid), int(uid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	args := append([]string{"--no-wait", "--reason", "ticket 7", "-u", c.Target, "--"}, command...)
	cmd := asIs(t.Context(), a, uid, numbers, args...)
	cmd.Dir = "/tmp"
	for _, name := range hostile {
		cmd.Env = append(cmd.Env, name+"=/tmp/evil")
	}
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	out, status := string(output), cmd.ProcessState.ExitCode()
	_, ran, _ := strings.Cut(out, standIn)
	var holds bool
	switch {
	case c.Expect == "DENY":
		holds = status == 1 && ran == "" && strings.HasPrefix(out, "keepersudo: ") &&
			(strings.Contains(out, "No policy allows this command for you") || strings.Contains(out, "refuses this command"))
	case slices.Contains(c.Controls, "APPROVAL"):
		holds = status == 75 && ran == "" && code.MatchString(out)
	default: // allowed, or with the reason that was given
		holds = status == 0 && ran != "" && !strings.Contains(ran, "evil") && strings.Contains(ran, "SUDO_USER='"+c.User+"'")
	}
	if !holds {
		t.Errorf("%s %q as %s, in %q, for %s: status %d: %s; expected %s", c.Name, command, c.User, c.Groups, c.Target, status, out, c.Expect)
	}
}

// inForce puts a file of docs/policies in force.
func inForce(t *testing.T, a *agent.Agent, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	marker := strings.TrimSuffix(filepath.Base(file), ".json") + "-is-in-force"
	policies := strings.TrimSpace(string(text))
	policies = "[" + strings.TrimSuffix(strings.TrimPrefix(policies, "["), "]") + "," +
		policyFor(marker, "DENY", "/usr/bin/nproc", everyone) + "]"
	if err := a.Write("Policies/policy.json", policies); err != nil {
		t.Fatal(err)
	}
	eventually(t, file+" is in force", func() bool {
		out, _ := asIs(t.Context(), a, uint32(slices.Index(people, "bob")), nil, "nproc").CombinedOutput()
		return strings.Contains(string(out), marker)
	})
}

// atRoot has what is written of the default agent root be of this one's.
func atRoot(a *agent.Agent, text string) string {
	return strings.ReplaceAll(text, "/opt/KeeperPrivilegeManager", a.Root)
}

// standIn begins what each program says.
const standIn = "the stand-in ran: "

// interpreter is what stand-ins are scripts of, and no policy is about.
const interpreter = "/usr/lib/kpm-test-interpreter"

// standIns lays an overlay over the programs of this test's own mounts, and empty folders
// over what users have and logs.
func standIns(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	mount := func(source, target, kind, options string) {
		t.Helper()
		if err := syscall.Mount(source, target, kind, 0, options); err != nil {
			t.Fatal(target, err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
				t.Error(target, err)
			}
		})
	}
	mount("tmpfs", dir, "tmpfs", "mode=0755")
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	mount("overlay", "/usr", "overlay", "lowerdir=/usr,upperdir="+upper+",workdir="+work)
	mount("tmpfs", "/usr/local", "tmpfs", "mode=0755") // whatever this machine has there
	mount("tmpfs", "/home", "tmpfs", "mode=0755")
	mount("tmpfs", "/var/log", "tmpfs", "mode=0755")
	shell, err := os.ReadFile("/bin/sh")
	if err := errors.Join(err, os.WriteFile(interpreter, shell, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(interpreter, "-c", "echo it works").Output(); err != nil || string(out) != "it works\n" {
		t.Fatal(string(out), err)
	}
}

// furnish makes a path of a case: a program, a file, or a link.
func furnish(t *testing.T, path, to string) {
	t.Helper()
	if strings.Contains(path, "..") {
		return // it is there, if what it leads to is
	}
	text, mode := "what is in it\n", os.FileMode(0o644)
	if !strings.HasPrefix(path, "/etc/") && !strings.HasPrefix(path, "/var/log/") {
		text, mode = "#!"+interpreter+"\necho '"+standIn+"'\"$0 $*\"\nexport -p\n", 0o755
	}
	if _, err := os.Stat(path); err == nil && mode == 0o644 {
		return
	}
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.RemoveAll(path))
	if path != to {
		err = errors.Join(err, os.Symlink(to, path))
	} else {
		err = errors.Join(err, os.WriteFile(path, []byte(text), mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}
