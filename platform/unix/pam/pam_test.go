//go:build linux

package pam_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
	"kpm/platform/linux"
	"kpm/platform/unix/pam"
	"kpm/vmtests/apart"
)

// Accounts of these tests, in an /etc of their own.
const (
	knows   = 4301
	expired = 4302
	locked  = 4303
	secret  = "correct horse"
	tries   = 3
)

// TestMain runs the tests where /etc is their own: the users, their passwords and
// PAM's file are in it.
func TestMain(m *testing.M) { apart.Main(func() { os.Exit(m.Run()) }) }

// file is PAM's for us here: what is usual, with all state in this /etc.
const file = `auth     required                   pam_faillock.so preauth silent dir=/etc/kpm-faillock deny=3
auth     [success=1 default=bad]    pam_unix.so nodelay
auth     [default=die]              pam_faillock.so authfail dir=/etc/kpm-faillock deny=3
auth     required                   pam_faillock.so authsucc dir=/etc/kpm-faillock deny=3
account  required                   pam_unix.so
session  required                   pam_limits.so conf=/etc/kpm-limits.conf set_all
session  required                   pam_env.so readenv=1 envfile=/etc/kpm-env conffile=/etc/kpm-env.conf
session  required                   pam_exec.so quiet log=/etc/kpm-log /etc/kpm-record
`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode))
}

// furnish writes the accounts and PAM's files.
func furnish(t *testing.T) {
	t.Helper()
	hash, err := exec.CommandContext(t.Context(), "openssl", "passwd", "-6", "-salt", "kpm", secret).Output()
	must(t, err)
	shadow, err := os.ReadFile("/etc/shadow")
	must(t, err)
	for uid, expires := range map[uint32]string{knows: "", expired: "1", locked: ""} {
		must(t, apart.Person(uid))
		if line := apart.Name(uid) + ":"; !strings.Contains(string(shadow), line) {
			shadow = append(shadow, line+strings.TrimSpace(string(hash))+":19000:0:99999:7::"+expires+":\n"...)
		}
	}
	write(t, "/etc/shadow", string(shadow), 0o640)
	write(t, pam.Files[0], file, 0o644)
	write(t, "/etc/kpm-limits.conf", apart.Name(knows)+" hard nofile 777\n"+apart.Name(knows)+" soft nofile 555\n", 0o644)
	write(t, "/etc/kpm-env", "KPM_OF_PAM=set\nPATH=/of/pam\n", 0o644)
	write(t, "/etc/kpm-env.conf", "", 0o644)
	write(t, "/etc/kpm-record", "#!/bin/sh\necho \"$PAM_TYPE $PAM_USER $PAM_SERVICE $PAM_TTY\" >>/etc/kpm-sessions\n", 0o755)
}

// program builds one of ours where any user finds it.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kpm-pam-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(dir, name), "kpm/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, name)
}

func account(uid uint32) core.Account {
	id := fmt.Sprint(uid)
	return core.Account{User: core.UserID(id), Name: apart.Name(uid), Group: id, Groups: []string{id}, Home: "/", Shell: "/bin/sh"}
}

// ours are the keeperpam processes that this one has started, by their directory
// in /proc.
func ours(t *testing.T) (found []string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, process := range processes {
		line, _ := os.ReadFile(process + "/cmdline")
		status, _ := os.ReadFile(process + "/status")
		if string(line) == pam.Name+"\x00" && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			found = append(found, process)
		}
	}
	return found
}

// TestAuthentication: PAM's answers, by the suite of every system.
func TestAuthentication(t *testing.T) {
	furnish(t)
	p := linux.NewPAM(program(t, "keeperpam"))
	defer func() { must(t, p.Close()) }()
	conformance.Authentication(t, conformance.Logins{
		Authenticator: p,
		Account:       account(knows), Expired: account(expired), Locked: account(locked), Secret: secret, Tries: tries,
		Alone: func() bool { return len(ours(t)) == 0 },
		// Attack: ps shows everybody everybody's arguments.
		Looked: func(t *testing.T) {
			found := ours(t)
			if len(found) != 1 {
				t.Fatalf("%d processes of %s, expected one", len(found), pam.Name)
			}
			for _, shown := range []string{"cmdline", "environ"} {
				if text, err := os.ReadFile(found[0] + "/" + shown); err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), apart.Name(knows)) {
					t.Errorf("%s: %v, %q", shown, err, text)
				}
			}
			entries, err := os.ReadDir(found[0] + "/fd")
			must(t, err)
			if len(entries) > 8 { // 0 to 3, and what its runtime and libpam have
				t.Errorf("it has %d descriptors open", len(entries))
			}
		},
	})
}

// TestNoFile: without a file for us PAM is not asked, and it is said what to do.
func TestNoFile(t *testing.T) {
	furnish(t)
	must(t, os.Remove(pam.Files[0]))
	p := linux.NewPAM("/no/such/keeperpam")
	defer func() { must(t, p.Close()) }()
	err := p.Authenticate(t.Context(), account(knows), nil)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), pam.Files[0]) {
		t.Errorf("%v, expected errors.ErrUnsupported with the file's name", err)
	}
}

// TestAHangingModule: a module that does not come back keeps nobody waiting, and is
// ended with what it has started.
func TestAHangingModule(t *testing.T) {
	furnish(t)
	write(t, "/etc/kpm-hang", "#!/bin/sh\necho $$ >/etc/kpm-hangs.new\nmv /etc/kpm-hangs.new /etc/kpm-hangs\nexec sleep 1000\n", 0o755)
	write(t, pam.Files[0], "auth required pam_exec.so quiet /etc/kpm-hang\naccount required pam_permit.so\n", 0o644)
	p := linux.NewPAM(program(t, "keeperpam"))
	defer func() { must(t, p.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Authenticate(ctx, account(knows), nil) }()
	var pid string
	eventually(t, "the module runs", func() bool {
		text, _ := os.ReadFile("/etc/kpm-hangs")
		pid = strings.TrimSpace(string(text))
		return pid != ""
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, expected context.Canceled", err)
	}
	eventually(t, "what the module has started is gone", func() bool {
		line, err := os.ReadFile("/proc/" + pid + "/cmdline")
		return err != nil || len(line) == 0
	})
}

// TestSession: a program of a user's has the limits and variables of its PAM
// session, which begins before it and ends after it.
func TestSession(t *testing.T) {
	furnish(t)
	p := linux.NewPAM(program(t, "keeperpam"))
	l, err := linux.NewLauncher(program(t, "keeperlaunch"), 1, "", "")
	must(t, err)
	launcher := linux.NewSessionLauncher(l, linux.NewSessions(linux.NewAccounts()), p)
	t.Cleanup(func() { must(t, errors.Join(launcher.Close(), p.Close())) })
	const script = `ulimit -Hn; ulimit -Sn; echo "$KPM_OF_PAM $PATH $KEPT"; cat /etc/kpm-sessions; read _`
	for _, tc := range []struct {
		as   core.RunAs
		in   bool
		says string
	}{
		{core.AsUser, true, "777\n555\nset /bin:/usr/bin yes\nopen_session person4301 kpm kpm\n"},
		// The service's own programs and elevated ones have none.
		{core.AsService, false, " /bin:/usr/bin yes\n"},
		{core.AsUserElevated, false, " /bin:/usr/bin yes\n"},
	} {
		t.Run(tc.as.String(), func(t *testing.T) {
			write(t, "/etc/kpm-sessions", "", 0o644)
			said, finish := start(t, launcher, tc.as, script)
			if out := said(); tc.in && out != tc.says || !tc.in && (!strings.HasSuffix(out, tc.says) || strings.HasPrefix(out, "777")) {
				t.Errorf("%q, expected %q", out, tc.says)
			}
			finish()
			if !tc.in {
				if text, _ := os.ReadFile("/etc/kpm-sessions"); len(text) > 0 {
					t.Errorf("a session: %s", text)
				}
				return
			}
			eventually(t, "the session is closed", func() bool {
				text, _ := os.ReadFile("/etc/kpm-sessions")
				return string(text) == "open_session person4301 kpm kpm\nclose_session person4301 kpm kpm\n"
			})
		})
	}
	t.Run("discarded", func(t *testing.T) {
		write(t, "/etc/kpm-sessions", "", 0o644)
		held, err := launcher.Prepare(t.Context(), spec(t, core.AsUser, script, port.Streams{}))
		must(t, err)
		held.Discard()
		eventually(t, "the session is closed", func() bool {
			text, _ := os.ReadFile("/etc/kpm-sessions")
			return strings.HasSuffix(string(text), "close_session person4301 kpm kpm\n")
		})
	})
	t.Run("refused", func(t *testing.T) {
		s := spec(t, core.AsUser, script, port.Streams{})
		s.As.Account = account(expired)
		if _, err := launcher.Prepare(t.Context(), s); !errors.Is(err, port.ErrAccountRefused) {
			t.Errorf("%v, expected port.ErrAccountRefused", err)
		}
	})
	eventually(t, "nothing is left", func() bool { return len(ours(t)) == 0 })
}

// spec is a shell with a script, as the account that knows the secret.
func spec(t *testing.T, as core.RunAs, script string, streams port.Streams) port.LaunchSpec {
	t.Helper()
	open := func(path string) *os.File {
		f, err := os.Open(path)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	return port.LaunchSpec{
		As: core.Identity{RunAs: as, Account: account(knows)}, Executable: open("/bin/sh"), Dir: open("/"), Streams: streams,
		Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin", "KEPT=yes"},
	}
}

// start runs a script up to where it reads. said returns what it has printed by
// then, finish ends it.
func start(t *testing.T, l port.Launcher, as core.RunAs, script string) (said func() string, finish func()) {
	t.Helper()
	in, type_, err := os.Pipe()
	must(t, err)
	printed, out, err := os.Pipe()
	must(t, err)
	held, err := l.Prepare(t.Context(), spec(t, as, "exec 3>&1; "+strings.Replace(script, "read _", "exec >&- 3>&-; read _", 1), port.Streams{Input: in, Output: out}))
	must(t, err)
	process, err := held.Release(t.Context())
	must(t, err)
	must(t, errors.Join(in.Close(), out.Close()))
	return func() string {
			text, err := io.ReadAll(printed)
			must(t, errors.Join(err, printed.Close()))
			return string(text)
		}, func() {
			must(t, type_.Close())
			_, err := process.Wait(t.Context())
			must(t, err)
		}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("never:", what)
		}
	}
}
