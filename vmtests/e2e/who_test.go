//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// stranger is a uid that has no account in the /etc of these tests, and one of a
// user's subordinate ids.
const stranger = 1054321

// etc replaces a file of the tests' own /etc until the test ends.
func etc(t *testing.T, name, text string) {
	t.Helper()
	if !apart.Inside() {
		t.Fatal("this is the machine's own /etc")
	}
	path := filepath.Join("/etc", name)
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	there := err == nil
	put := func(data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".next", data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte(text))
	t.Cleanup(func() {
		if there {
			put(before)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
}

// addGroups adds lines to the tests' own /etc/group.
func addGroups(t *testing.T, lines ...string) {
	t.Helper()
	before, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	etc(t, "group", string(before)+strings.Join(lines, "\n")+"\n")
}

// asIs is keepersudo as a uid with these groups, whether or not they have an
// account.
func asIs(ctx context.Context, a *agent.Agent, uid uint32, groups []uint32, args ...string) *exec.Cmd {
	cmd := a.Sudo(ctx, 0, args...)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}
	return cmd
}

// policyFor is a policy with one control for one program, by more JSON members.
func policyFor(id, control, program, members string) string {
	return fmt.Sprintf(`{"PolicyId":%q,"PolicyName":%q,"PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":[%q]}},"ApplicationCheck":[%q],%s}`,
		id, id, control, program, members)
}

const everyone = `"UserCheck":["*"],"MachineCheck":["*"]`

func policiesOf(policies ...string) string { return "[" + strings.Join(policies, ",\n") + "]" }

// runs and refuses assert what becomes of a command.
func runs(t *testing.T, what string, cmd *exec.Cmd, want string) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
		t.Errorf("%s: %v: %s", what, err, out)
	}
}

func refuses(t *testing.T, what string, cmd *exec.Cmd, says string) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "keepersudo: ") || !strings.Contains(string(out), says) {
		t.Errorf("%s: %v: %s, expected a refusal with %q", what, err, out, says)
	}
}

// opened lists who has asked, by the journal.
func opened(t *testing.T, a *agent.Agent) string {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "1000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWhoHasNoAccount: a uid that is nobody's asks for nothing, whatever policy
// allows to everyone, on every way in.
func TestWhoHasNoAccount(t *testing.T) {
	etc(t, "subuid", fmt.Sprintf("person4242:%d:65536\n", stranger-4321))
	a := newAgent(t, allowAll, nil)
	refuses(t, "a subordinate id", asIs(t.Context(), a, stranger, nil, "id", "-u"), "no account on this machine")
	refuses(t, "a uid of a service that runs", asIs(t.Context(), a, 61500, nil, "id", "-u"), "no account on this machine")
	refuses(t, "a uid of nobody's", asIs(t.Context(), a, 98765, nil, "id", "-u"), "no account on this machine")
	runs(t, "somebody", a.Sudo(t.Context(), 4242, "id", "-u"), "0\n")
	if out := opened(t, a); strings.Contains(out, fmt.Sprint(stranger)) || strings.Contains(out, `"userId":"98765"`) {
		t.Errorf("a stranger made a request: %s", out)
	}
	for uid, tier := range map[uint32]string{stranger: "Public", 98765: "Public", 4242: "User"} {
		curl := exec.CommandContext(t.Context(), "curl", "-sS", "--unix-socket", filepath.Join(a.Root, "run/api.sock"), "http://localhost/api/plugins")
		curl.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if out, err := curl.CombinedOutput(); err != nil || !strings.Contains(string(out), `"callerTier":"`+tier+`"`) {
			t.Errorf("the API takes %d for %s, %v; expected tier %s", uid, out, err, tier)
		}
	}
}

// TestStrangersWhoAreLetIn: they are named by what is no account's name, belong
// to no group that grants, and share what one user may have.
func TestStrangersWhoAreLetIn(t *testing.T) {
	addGroups(t, fmt.Sprintf("guests:x:7300:%d", stranger))
	a := newAgent(t, policiesOf(
		policyFor("all", "ALLOW", "/usr/bin/printenv", everyone),
		policyFor("sleep", "ALLOW", "/usr/bin/sleep", everyone),
		policyFor("number", "ALLOW", "/usr/bin/env", fmt.Sprintf(`"UserCheck":["%d"],"MachineCheck":["*"]`, stranger)),
		policyFor("guests", "ALLOW", "/usr/bin/id", `"UserCheck":["%guests","%#7300"],"MachineCheck":["*"]`),
		policyFor("not-guests", "DENY", "/usr/bin/uname", `"UserCheck":["%guests"],"MachineCheck":["*"]`),
		policyFor("uname", "ALLOW", "/usr/bin/uname", everyone),
	), func(a *agent.Agent) {
		settings := `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0},
			"Requests": {"AllowUnknownUsers": true, "MaxRunningPerUser": 2}}`
		if err := a.Write("appsettings.json", settings); err != nil {
			t.Fatal(err)
		}
	})
	guests := []uint32{7300}
	runs(t, "a stranger", asIs(t.Context(), a, stranger, guests, "printenv", "SUDO_USER"), fmt.Sprintf("#%d\n", stranger))
	refuses(t, "an account's name that is a number", asIs(t.Context(), a, stranger, guests, "env"), "No policy")
	refuses(t, "a grant to a group", asIs(t.Context(), a, stranger, guests, "id"), "No policy")
	refuses(t, "a DENY to a group", asIs(t.Context(), a, stranger, guests, "uname"), "not-guests")
	if out := opened(t, a); !strings.Contains(out, fmt.Sprintf(`"userId":"%d","user":"#%d"`, stranger, stranger)) {
		t.Errorf("the journal has %s", out)
	}
	// Two strangers take all that strangers have; somebody has their own.
	for i := range uint32(2) {
		cmd := asIs(t.Context(), a, stranger+i, nil, "sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	}
	eventually(t, "both run", func() bool { return strings.Count(opened(t, a), `"launched"`) >= 3 })
	refuses(t, "a third stranger", asIs(t.Context(), a, stranger+2, nil, "printenv", "SUDO_USER"), "2 commands of yours run")
	runs(t, "somebody", a.Sudo(t.Context(), 4242, "printenv", "SUDO_USER"), "person4242\n")
}

// TestAnotherNameOfAUser: a uid with two names is denied by either, and granted by
// the one that it is known by.
func TestAnotherNameOfAUser(t *testing.T) {
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	etc(t, "passwd", string(before)+"second:x:4242:4242::/:/bin/sh\n")
	a := newAgent(t, policiesOf(
		policyFor("id", "ALLOW", "/usr/bin/id", `"UserCheck":["person4242"],"MachineCheck":["*"]`),
		policyFor("env", "ALLOW", "/usr/bin/env", `"UserCheck":["second"],"MachineCheck":["*"]`),
		policyFor("uname", "ALLOW", "/usr/bin/uname", everyone),
		policyFor("not-second", "DENY", "/usr/bin/uname", `"UserCheck":["second"],"MachineCheck":["*"]`),
	), nil)
	runs(t, "by the first name", a.Sudo(t.Context(), 4242, "id", "-u"), "0\n")
	refuses(t, "by the second name", a.Sudo(t.Context(), 4242, "env"), "No policy")
	refuses(t, "denied by the second name", a.Sudo(t.Context(), 4242, "uname"), "not-second")
}

// TestGroupsAreThoseOfTheMoment: what a group's name means is looked up for each
// decision, and the kernel and the user database have to agree on who is in it.
func TestGroupsAreThoseOfTheMoment(t *testing.T) {
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	become := func(lines string) { etc(t, "group", string(before)+lines) }
	become("kpmops:x:7001:person4242\nkpmtools:x:7002:person4242\n")
	a := newAgent(t, policiesOf(
		policyFor("everything", "ALLOW", "/usr/bin/id", everyone),
		policyFor("not-ops", "DENY", "/usr/bin/id", `"UserCheck":["%kpmops"],"MachineCheck":["*"]`),
		policyFor("tools", "ALLOW", "/usr/bin/uname", `"UserCheck":["%kpmtools"],"MachineCheck":["*"]`),
		policyFor("number", "ALLOW", "/usr/bin/nproc", `"UserCheck":["%#7002"],"MachineCheck":["*"]`),
	), nil)
	ask := func(groups []uint32, argv ...string) *exec.Cmd { return asIs(t.Context(), a, 4242, groups, argv...) }
	both := []uint32{7001, 7002}
	refuses(t, "DENY to a member", ask(both, "id", "-u"), "not-ops")
	runs(t, "ALLOW to a member", ask(both, "uname"), "Linux\n")

	refuses(t, "DENY to a member who has left the group", ask(nil, "id", "-u"), "not-ops")
	refuses(t, "ALLOW to a member who has left the group", ask(nil, "uname"), "No policy")
	refuses(t, "ALLOW by number to a member who has left the group", ask(nil, "nproc"), "No policy")

	become("kpmops:x:7011:person4242\nkpmtools:x:7012:person4242\n") // groupmod -g
	refuses(t, "DENY after the group has another number", ask(both, "id", "-u"), "not-ops")
	refuses(t, "ALLOW after the group has another number, by a process of before", ask(both, "uname"), "No policy")
	runs(t, "ALLOW after the group has another number", ask([]uint32{7012}, "uname"), "Linux\n")

	become("kpmops:x:7001:\nkpmtools:x:7003:\nother:x:7002:person4242\n") // groupdel, groupadd
	refuses(t, "ALLOW to those who have the number of old", ask(both, "uname"), "No policy")
	refuses(t, "DENY to one whom only the kernel counts in", ask(both, "id", "-u"), "not-ops")
	runs(t, "no DENY to one whom nobody counts in", ask([]uint32{7002}, "id", "-u"), "0\n")

	become("kpmtools:x:7002:person4242\n")
	refuses(t, "DENY to a group that is gone", ask(nil, "id", "-u"), "not-ops")
}

// TestMachineNamesAreThoseOfTheMoment: a short name and one with a domain may be
// one machine.
func TestMachineNamesAreThoseOfTheMoment(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	rename := func(name string) {
		if err := syscall.Sethostname([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { rename(name) })
	rename("elsewhere")
	a := newAgent(t, policiesOf(
		policyFor("all", "ALLOW", "/usr/bin/id", everyone),
		policyFor("uname", "ALLOW", "/usr/bin/uname", `"UserCheck":["*"],"MachineCheck":["Web1.corp.example"]`),
		policyFor("not-web1", "DENY", "/usr/bin/id", `"UserCheck":["*"],"MachineCheck":["web1"]`),
		policyFor("not-web2", "DENY", "/usr/bin/id", `"UserCheck":["*"],"MachineCheck":["web2.corp.example"]`),
	), nil)
	for _, tc := range []struct {
		name   string
		denies string // id
		allows bool   // uname
	}{
		{"elsewhere", "", false}, {"web1", "not-web1", false}, {"WEB1.corp.example", "not-web1", true}, {"web1.other.example", "not-web1", false},
		{"web2", "not-web2", false}, {"web2.other.example", "", false}, {"web10", "", false},
	} {
		rename(tc.name)
		if tc.denies == "" {
			runs(t, tc.name, a.Sudo(t.Context(), 4242, "id", "-u"), "0\n")
		} else {
			refuses(t, tc.name, a.Sudo(t.Context(), 4242, "id", "-u"), tc.denies)
		}
		if tc.allows {
			runs(t, tc.name, a.Sudo(t.Context(), 4242, "uname"), "Linux\n")
		} else {
			refuses(t, tc.name, a.Sudo(t.Context(), 4242, "uname"), "No policy")
		}
	}
}

// TestTheZoneIsThatOfTheMoment: hours are those of the machine's clock on the
// wall, wherever the machine is by now.
func TestTheZoneIsThatOfTheMoment(t *testing.T) {
	inZone := func(hours int) {
		offset := uint32(int32(hours * 3600))
		// A file of tzfile(5) with one zone and no changes.
		text := "TZif" + strings.Repeat("\x00", 16+4*4) + "\x00\x00\x00\x01\x00\x00\x00\x04" +
			string([]byte{byte(offset >> 24), byte(offset >> 16), byte(offset >> 8), byte(offset), 0, 0}) + "XXX\x00"
		etc(t, "localtime", text)
	}
	inZone(0)
	now := time.Now().UTC()
	hour := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Hour()) }
	a := newAgent(t, policyFor("now", "ALLOW", "/usr/bin/id", everyone+
		fmt.Sprintf(`,"TimeCheck":[{"StartTime":%q,"EndTime":%q}]`, hour(-time.Hour), hour(2*time.Hour))), nil)
	for _, hours := range []int{0, 6, -6, 0, 12} {
		inZone(hours)
		if hours == 0 {
			runs(t, "in time", a.Sudo(t.Context(), 4242, "id", "-u"), "0\n")
		} else {
			refuses(t, fmt.Sprint(hours, " hours away"), a.Sudo(t.Context(), 4242, "id", "-u"), "No policy")
		}
	}
}

// TestAccountsOfADirectory: who is known to the name service alone, here by
// systemd's records, has a name, groups, and what policies say of them.
func TestAccountsOfADirectory(t *testing.T) {
	etc(t, "nsswitch.conf", "passwd: files systemd\ngroup: files systemd\n")
	etc(t, "subuid", "") // a machine with people may have lent her number to one of them
	for name, text := range map[string]string{
		"kpmcarol.user":                `{"userName":"kpmcarol","uid":300001,"gid":300100,"homeDirectory":"/","shell":"/bin/sh"}`,
		"300001.user":                  `{"userName":"kpmcarol","uid":300001,"gid":300100,"homeDirectory":"/","shell":"/bin/sh"}`,
		"kpmcarol.group":               `{"groupName":"kpmcarol","gid":300100}`,
		"300100.group":                 `{"groupName":"kpmcarol","gid":300100}`,
		"kpmstaff.group":               `{"groupName":"kpmstaff","gid":300200}`,
		"300200.group":                 `{"groupName":"kpmstaff","gid":300200}`,
		"kpmcarol:kpmstaff.membership": `{}`,
	} {
		etc(t, "userdb/"+name, text)
	}
	a := newAgent(t, policiesOf(
		policyFor("carol", "ALLOW", "/usr/bin/printenv", `"UserCheck":["kpmcarol"],"MachineCheck":["*"]`),
		policyFor("staff", "ALLOW", "/usr/bin/id", `"UserCheck":["%kpmstaff"],"MachineCheck":["*"]`),
		policyFor("not-staff", "DENY", "/usr/bin/uname", `"UserCheck":["%kpmstaff"],"MachineCheck":["*"]`),
		policyFor("uname", "ALLOW", "/usr/bin/uname", everyone),
		policyFor("other", "ALLOW", "/usr/bin/env", everyone+`,"TargetUserCheck":["kpmcarol"]`),
	), nil)
	ask := func(groups []uint32, argv ...string) *exec.Cmd {
		cmd := asIs(t.Context(), a, 300001, groups, argv...)
		cmd.SysProcAttr.Credential.Gid = 300100
		return cmd
	}
	runs(t, "by name", ask([]uint32{300200}, "printenv", "SUDO_USER"), "kpmcarol\n")
	runs(t, "by group", ask([]uint32{300200}, "id", "-u"), "0\n")
	refuses(t, "by a group that the process is not in", ask(nil, "id", "-u"), "No policy")
	refuses(t, "denied by group", ask(nil, "uname"), "not-staff")
	runs(t, "as the target", a.Sudo(t.Context(), 4242, "-u", "kpmcarol", "env", "id", "-G"), "300100 300200\n")
	if out := opened(t, a); !strings.Contains(out, `"userId":"300001","user":"kpmcarol"`) {
		t.Errorf("the journal has %s", out)
	}
}

// unconfined starts a command that confines itself in some way and then becomes
// keepersudo.
const seccomp = `
import ctypes, os, sys
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
allow = b"\x06\x00\x00\x00\x00\x00\xff\x7f"
if libc.prctl(22, 2, ctypes.byref(Program(1, allow)), 0, 0):
    sys.exit("prctl: %d" % ctypes.get_errno())
os.setresgid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
os.setresuid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
`

// TestConfinedCallers: whoever is denied something that the service is not gets
// no process that is denied nothing.
func TestConfinedCallers(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	jail := t.TempDir()
	if err := syscall.Mount("/", jail, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(jail, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	sudo := filepath.Join(a.Root, "keepersudo")
	user := []string{"setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"}
	for _, tc := range []struct {
		what string
		argv []string
		says string // "" if it is not confined
	}{
		{"nothing", append(user, sudo, "id", "-u"), ""},
		{"no_new_privs", append(user, "--no-new-privs", sudo, "id", "-u"), "no_new_privs"},
		{"a smaller bounding set", append(user, "--bounding-set=-sys_admin", sudo, "id", "-u"), "bounding set"},
		{"a seccomp filter", []string{"python3", "-c", seccomp, "4242", sudo, "id", "-u"}, "seccomp"},
		{"another root", []string{"chroot", "--userspec=4242:4242", jail, sudo, "id", "-u"}, "root directory"},
		{"root with a smaller bounding set", []string{"setpriv", "--bounding-set=-sys_admin", sudo, "id", "-u"}, "bounding set"},
		{"root itself", []string{sudo, "id", "-u"}, ""},
	} {
		cmd := exec.CommandContext(t.Context(), tc.argv[0], tc.argv[1:]...)
		cmd.Env = append(os.Environ(), "KEEPER_AGENT_ROOT="+a.Root)
		cmd.Dir = "/"
		if strings.HasPrefix(tc.what, "root") {
			cmd.Args = append(cmd.Args[:len(cmd.Args)-2], "--root", a.Root, "id", "-u")
		}
		if tc.says == "" {
			runs(t, tc.what, cmd, "0\n")
		} else {
			refuses(t, tc.what, cmd, tc.says)
		}
	}
	// At the API that root is no administrator.
	cli := []string{filepath.Join(a.Root, "KeeperAdminCLI"), "--root", a.Root, "plugins", "list"}
	if out, err := exec.CommandContext(t.Context(), "setpriv", append([]string{"--bounding-set=-sys_admin"}, cli...)...).CombinedOutput(); err == nil {
		t.Errorf("an administrator with less than root has: %s", out)
	}
	if out, err := exec.CommandContext(t.Context(), cli[0], cli[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTheLoginIsTheCallers: the kernel's audit names the person who has logged
// in, not the service.
func TestTheLoginIsTheCallers(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `echo 4242 >/proc/self/loginuid && exec setpriv --reuid=4242 --regid=4242 --clear-groups "$0" cat /proc/self/loginuid`,
		filepath.Join(a.Root, "keepersudo"))
	cmd.Env = append(os.Environ(), "KEEPER_AGENT_ROOT="+a.Root)
	runs(t, "the login", cmd, "4242")
	runs(t, "no login", a.Sudo(t.Context(), 4242, "cat", "/proc/self/loginuid"), "4294967295")
}
