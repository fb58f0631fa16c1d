//go:build linux

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/platform/linux"
	"kpm/vmtests/apart"
)

// TestACommandAsAnAccountOfItsOwn: policy has a command run as an account that is made
// for it, in the groups that it names, and of which nothing is left.
func TestACommandAsAnAccountOfItsOwn(t *testing.T) {
	administrate(t)
	a := newAgent(t, policyOf("own", "ALLOW", `, "ApplicationCheck": ["*"], "Extension": {"EphemeralAccount": {"Groups": ["`+administrators+`"]}}`), nil)
	out, code := sudoed(t, a, "id")
	if code != 0 || !strings.Contains(out, "(keeperusersession-1)") || !strings.Contains(out, "("+administrators+")") || strings.Contains(out, "root") {
		t.Errorf("%d %q", code, out)
	}
	// It leaves a file in its home, and a process that leaves everything.
	out, code = sudoed(t, a, "sh", "-c", "echo kept >$HOME/file; (setsid sh -c 'exec sleep 987650' >/dev/null 2>&1 </dev/null &); echo $USER $HOME $KEEPER_REQUESTING_USER $KEEPER_REQUESTING_USER_ID")
	if code != 0 || out != "keeperusersession-2 "+filepath.Join(a.Root, "run/homes/keeperusersession-2")+" "+apart.Name(4242)+" 4242\n" {
		t.Errorf("%d %q", code, out)
	}
	accounts := linux.TransientAccounts{Homes: filepath.Join(a.Root, "run/homes"), Accounts: linux.LocalAccounts()}
	eventually(t, "nothing is left", func() bool {
		numbers, err := accounts.Numbers()
		return err == nil && len(numbers) == 0 && len(running(t, "987650")) == 0
	})
	eventually(t, "it is journalled", func() bool {
		made := map[any]int{}
		for _, r := range records(t, a) {
			made[r["type"]]++
		}
		return made["account-made"] == 2 && made["account-removed"] == 2
	})
	// The service is killed in the middle: the command goes on, and when it has ended
	// the next service's job removes the account.
	cmd := a.Sudo(t.Context(), 4242, "sh", "-c", "echo up; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(a.Root, "run/homes/keeperusersession-3")
	eventually(t, "it runs", func() bool { return len(running(t, "echo up; read line")) > 1 })
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(home); err != nil {
		t.Errorf("the account of a command that runs: %v", err)
	}
	if err := errors.Join(in.Close(), ignoreExit(cmd.Wait())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job removes it", func() bool {
		if out, err := a.Admin(t.Context(), "jobs", "run", "--id", "ephemeral-account-cleanup-if-unused"); err != nil {
			t.Fatal(out, err)
		}
		_, err := linux.LocalAccounts().ByName("keeperusersession-3")
		_, homeErr := os.Lstat(home)
		return errors.Is(err, core.ErrNoAccount) && errors.Is(homeErr, os.ErrNotExist)
	})
	// A program that users can change is not run as one.
	own := filepath.Join(reachable(t), "id")
	data, err := os.ReadFile("/usr/bin/id")
	if err == nil {
		err = os.WriteFile(own, data, 0o755)
	}
	if err == nil {
		err = os.Chown(own, 4242, 4242)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, code := sudoed(t, a, own); code == 0 || !strings.Contains(out, "administrators alone can change") {
		t.Errorf("a program of a user's: %q", out)
	}
}

// TestAccountsOfCommandsGoWithTheAgent: what a service that was killed has left is
// removed with the agent, also while its command runs.
func TestAccountsOfCommandsGoWithTheAgent(t *testing.T) {
	administrate(t)
	a := newAgent(t, policyOf("own", "ALLOW", `, "ApplicationCheck": ["*"], "Extension": {"EphemeralAccount": true}`), nil)
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	databases := func() (all string) {
		t.Helper()
		for _, file := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"} {
			data, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all += string(data)
		}
		return all
	}
	before := databases()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := a.Sudo(ctx, 4242, "sleep", "987651")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // it waits for a service that does not come back
		cancel()
		_ = cmd.Wait()
	}()
	eventually(t, "it runs", func() bool { return slices.ContainsFunc(running(t, "987651"), runsAsTransient) })
	giveBack := func() (string, error) {
		out, err := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "rights", "give-back", "--root", a.Root).CombinedOutput()
		return string(out), err
	}
	if out, err := giveBack(); err == nil || !strings.Contains(out, "the service runs") || databases() == before {
		t.Errorf("while the service runs: %v %s", err, out)
	}
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if out, err := giveBack(); err != nil {
		t.Fatal(out, err)
	}
	if now := databases(); now != before {
		t.Errorf("left is\n%s\nand there was\n%s", now, before)
	}
	if entries, err := os.ReadDir(filepath.Join(a.Root, "run/homes")); err != nil || len(entries) != 0 {
		t.Errorf("homes: %v, %v", entries, err)
	}
	eventually(t, "its command has ended", func() bool { return !slices.ContainsFunc(running(t, "987651"), runsAsTransient) })
	if out, err := giveBack(); err != nil {
		t.Error("once more:", out, err)
	}
}

// runsAsTransient reports whether a process has the uid of an account for one command.
func runsAsTransient(pid int) bool {
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return err == nil && info.Sys().(*syscall.Stat_t).Uid >= 0x7f400000
}

// ignoreExit is for a command whose status does not matter.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
