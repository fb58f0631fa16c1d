//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/platform/linux"
	"kpm/vmtests/apart"
)

// appendLine appends a line to a file of the /etc of these tests.
func appendLine(t *testing.T, path, line string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMembershipOfTheMachine: the port on real files, with what people do to mislead
// it: a user named as a group, a name that is a number, two names of one user, and a
// group with thousands of members.
func TestMembershipOfTheMachine(t *testing.T) {
	administrate(t, 7001)
	m := linux.Membership{Accounts: linux.LocalAccounts()}
	appendLine(t, "/etc/passwd", administrators+":x:7010:7010::/:/bin/sh") // a user with the group's name
	appendLine(t, "/etc/passwd", "7001:x:7011:7011::/:/bin/sh")            // whose name is another's number
	appendLine(t, "/etc/passwd", "alias:x:7001:7001::/:/bin/sh")           // another name of 7001
	appendLine(t, "/etc/group", "kpmlong:x:7012:"+strings.Repeat("nobodyhere,", 20000)+apart.Name(7001))
	account := func(name string) core.Account {
		t.Helper()
		a, err := linux.LocalAccounts().ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	set := func(group, name string, member bool) {
		t.Helper()
		if err := m.Set(t.Context(), group, account(name), member); err != nil {
			t.Fatal(err)
		}
	}
	set(administrators, administrators, true)
	set(administrators, "7001", true)
	if got := members(t); got != apart.Name(7001)+","+administrators+",7001" {
		t.Errorf("members: %s", got)
	}
	set(administrators, "7001", false)
	if got := members(t); got != apart.Name(7001)+","+administrators {
		t.Errorf("a name that is a number is not that number: %s", got)
	}
	if out, err := exec.Command("gpasswd", "--add", "alias", administrators).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	set(administrators, apart.Name(7001), false)
	if got := members(t); got != administrators {
		t.Errorf("another name of the same user stays a member: %s", got)
	}
	set("kpmlong", apart.Name(7001), false)
	list, err := m.Members(t.Context(), "kpmlong")
	if err != nil || len(list) != 0 {
		t.Errorf("of a long line: %v, %v", list, err)
	}
	if _, err := m.Members(t.Context(), "kpmnone"); !errors.Is(err, core.ErrNoGroup) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"-x", "a,b", "a:b", ""} {
		if err := m.Set(t.Context(), administrators, core.Account{User: "7001", Name: name}, true); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	set(administrators, administrators, false)
}

// TestTransientAccounts: an account that nobody can log in to, with a home of its own,
// of which nothing is left: no process either.
func TestTransientAccounts(t *testing.T) {
	administrate(t)
	homes := filepath.Join(reachable(t), "homes")
	accounts := linux.TransientAccounts{Homes: homes, Accounts: linux.LocalAccounts()}
	const number = 41
	a, err := accounts.Create(t.Context(), number, []string{administrators})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.Name, "keeperusersession-") || a.Shell != "/usr/sbin/nologin" || members(t) != a.Name {
		t.Errorf("%+v, group of %s", a, members(t))
	}
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil || !strings.Contains(string(shadow), "\n"+a.Name+":!") {
		t.Errorf("it has a password, or no entry: %v", err)
	}
	subuid, err := os.ReadFile("/etc/subuid")
	if err == nil && strings.Contains(string(subuid), a.Name) {
		t.Error("it has subordinate ids")
	}
	if _, err := accounts.Create(t.Context(), number, nil); err == nil {
		t.Error("it is made twice")
	}
	if list, err := accounts.Numbers(); err != nil || !slices.Equal(list, []uint32{number}) {
		t.Errorf("%v, %v", list, err)
	}
	uid := uint32(0x7f400000 + number)
	// What leaves everything that it could be found by, and ignores signals.
	cmd := exec.Command("/bin/sh", "-c", "trap '' HUP TERM; (setsid /bin/sh -c 'while :; do /bin/sleep 1000; done' &) ; exec /bin/sleep 1000")
	cmd.Dir = a.Home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	if err := accounts.Remove(t.Context(), number); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := linux.LocalAccounts().ByName(a.Name); !errors.Is(err, core.ErrNoAccount) {
		t.Errorf("the account: %v", err)
	}
	if _, err := os.Lstat(a.Home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the home: %v", err)
	}
	if list, err := accounts.Numbers(); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	if err := accounts.Remove(t.Context(), number); err != nil {
		t.Errorf("once more: %v", err)
	}
	// Attack: an account that is called so, and is somebody's.
	appendLine(t, "/etc/passwd", "keeperusersession-42:x:7020:7020::/:/bin/sh")
	if err := accounts.Remove(t.Context(), 42); err == nil || !strings.Contains(err.Error(), "not one of ours") {
		t.Errorf("somebody's account: %v", err)
	}
}
