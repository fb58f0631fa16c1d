//go:build windows

package windows

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/held"
)

// system is a program of Windows itself.
func system(name string) string { return filepath.Join(systemDirectory(), name) }

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLauncher(t testing.TB) *Launcher {
	t.Helper()
	l, err := NewLauncher(helperPath(), 1)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// command is a spec for cmd.exe. What follows /c is cmd's own business.
func command(t testing.TB, as core.Identity, words ...string) port.LaunchSpec {
	t.Helper()
	path := system("cmd.exe")
	return port.LaunchSpec{
		As: as, Executable: open(t, path), Argv: append([]string{path, "/d", "/c"}, words...),
		Env: Facts().BaseEnvironment, Dir: open(t, t.TempDir()),
	}
}

// output starts a program and returns what it wrote.
func output(t *testing.T, l *Launcher, spec port.LaunchSpec) string {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec.Streams.Output = w
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	_, err = h.Release(t.Context())
	must(t, err)
	w.Close()
	out, err := io.ReadAll(r)
	must(t, err)
	return string(out)
}

// in is an identity in this process's session.
func in(t testing.TB, as core.RunAs) core.Identity {
	t.Helper()
	var session uint32
	must(t, windows.ProcessIdToSessionId(uint32(os.Getpid()), &session))
	identity := own()
	identity.RunAs, identity.Session = as, core.SessionID(strconv.FormatUint(uint64(session), 10))
	return identity
}

// A user's program has the user's own variables, and ours where both name one.
func TestUserPrograms(t *testing.T) {
	l := newLauncher(t)
	t.Setenv("KPM_NOT_TO_BE_SEEN", "secret")
	for _, as := range []core.RunAs{core.AsUser, core.AsUserDesktop, core.AsUserElevated} {
		t.Run(as.String(), func(t *testing.T) {
			out := output(t, l, command(t, in(t, as), "set"))
			lines := strings.Split(strings.ReplaceAll(out, "\r", ""), "\n")
			has := func(prefix string) bool {
				return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(strings.ToUpper(line), prefix) })
			}
			if !has("USERPROFILE=") || !has("PATH="+strings.ToUpper(core.Windows.PathVariable())) || has("KPM_NOT_TO_BE_SEEN") {
				t.Errorf("%s", out)
			}
		})
	}
}

// The elevated token is the same user's with more rights, or there is none.
func TestElevatedToken(t *testing.T) {
	l := newLauncher(t)
	as := in(t, core.AsUserElevated)
	elevated, err := l.tokenFor(t.Context(), as)
	must(t, err)
	defer elevated.close()
	user, err := tokenUser(elevated.primary)
	if err != nil || user != as.Account.User || !elevated.primary.IsElevated() {
		t.Errorf("%s, elevated: %v, %v", user, elevated.primary.IsElevated(), err)
	}
	everyday, err := sessionToken(as)
	must(t, err)
	defer everyday.Close()
	if other, err := elevate(everyday, "S-1-5-21-1-2-3-500"); !errors.Is(err, ErrNoElevation) || !errors.Is(err, errors.ErrUnsupported) {
		other.Close()
		t.Errorf("another user's elevated token: %v", err)
	}
}

// Whoever owns a process may open it to everyone, and the user's own token would
// make that the user.
func TestProcessesBelongToAdministrators(t *testing.T) {
	made, err := held.Start{
		Application: system("cmd.exe"), CommandLine: "cmd.exe", Dir: systemDirectory(), Env: helperEnvironment(),
		Flags: windows.CREATE_NO_WINDOW, Security: held.Administrators, KeepStreams: true,
	}.Create()
	must(t, err)
	defer windows.CloseHandle(made.Process)
	defer windows.CloseHandle(made.Thread)
	defer windows.TerminateProcess(made.Process, 1)
	for what, object := range map[string]windows.Handle{"process": made.Process, "thread": made.Thread} {
		descriptor, err := windows.GetSecurityInfo(object, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
		must(t, err)
		owner, _, err := descriptor.Owner()
		must(t, err)
		list := descriptor.String()
		if !isAdministrators(owner) || strings.Count(list, "(A;") != 2 || !strings.Contains(list, ";SY)") || !strings.Contains(list, ";BA)") {
			t.Errorf("%s: %s", what, list)
		}
	}
}

// A session is a number, and who has it changes.
func TestSessionsThatAreNotTheUsers(t *testing.T) {
	l := newLauncher(t)
	right := in(t, core.AsUser)
	for _, c := range []struct {
		what   string
		change func(*core.Identity)
		want   error
	}{
		{"another user's", func(as *core.Identity) { as.Account.User = "S-1-5-21-1-2-3-500" }, ErrNoSession},
		{"no number", func(as *core.Identity) { as.Session = "console" }, ErrNoSession},
		{"none", func(as *core.Identity) { as.Session = "" }, errors.ErrUnsupported},
		{"another account without a session", func(as *core.Identity) {
			*as = core.Identity{Account: core.Account{User: "S-1-5-21-1-2-3-500"}}
		}, core.ErrNoAccount},
		{"elevated as another account that is none", func(as *core.Identity) {
			as.RunAs, as.Login, as.Account.User = core.AsUserElevated, as.Account.User, "S-1-5-21-1-2-3-500"
		}, core.ErrNoAccount},
		{"a group", func(as *core.Identity) {
			*as = core.Identity{Account: core.Account{User: "S-1-5-32-545"}}
		}, core.ErrNoAccount},
		{"no SID", func(as *core.Identity) { *as = core.Identity{Account: core.Account{User: "bob"}} }, core.ErrNoAccount},
	} {
		as := right
		c.change(&as)
		if _, err := l.Prepare(t.Context(), command(t, as, "exit")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// What passes for a program, and what Windows would make of it.
func TestWhatIsNotStarted(t *testing.T) {
	l := newLauncher(t)
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte("MZ, and nothing else"), 0o700))
		return path
	}
	null, err := os.OpenFile("NUL", os.O_RDONLY, 0)
	must(t, err)
	defer null.Close()
	writer, err := os.OpenFile(write("written.exe"), os.O_RDWR, 0)
	must(t, err)
	defer writer.Close()
	for _, c := range []struct {
		what string
		f    *os.File
		want error
	}{
		{"a batch file", open(t, write("a.bat")), errors.ErrUnsupported},
		{"a batch file in capitals", open(t, write("b.CMD")), errors.ErrUnsupported},
		{"a reserved device name", null, core.ErrNotRegular},
		{"a file that somebody writes to", writer, windows.ERROR_SHARING_VIOLATION},
		{"a file that is no program", open(t, write("empty.exe")), windows.ERROR_BAD_EXE_FORMAT},
	} {
		spec := command(t, own(), "exit")
		spec.Executable = c.f
		h, err := l.Prepare(t.Context(), spec)
		if err == nil {
			_, err = h.Release(t.Context())
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", c.what, err, c.want)
		}
	}
	spec := command(t, own(), "exit")
	spec.Script = `C:\a.ps1`
	if _, err := l.Prepare(t.Context(), spec); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a script: %v", err)
	}
}

// What a helper has created is looked at before it may run.
func TestAnotherProgramIsNotReleased(t *testing.T) {
	job, _, err := newJob()
	must(t, err)
	defer windows.CloseHandle(job) // ends what is in it
	made, err := held.Start{
		Job: job, Application: system("cmd.exe"), CommandLine: "cmd.exe", Dir: systemDirectory(), Env: helperEnvironment(),
		Flags: windows.CREATE_NO_WINDOW, KeepStreams: true,
	}.Create()
	must(t, err)
	defer windows.CloseHandle(made.Process)
	defer windows.CloseHandle(made.Thread)
	for _, c := range []struct {
		what, sealed string
		pid          uint32
		want         error
	}{
		{"the sealed program", system("cmd.exe"), made.ProcessId, nil},
		{"another program", helperPath(), made.ProcessId, ErrChanged},
		{"a process that is not in the group", system("cmd.exe"), uint32(os.Getpid()), ErrChanged},
	} {
		program, err := holdProgram(open(t, c.sealed))
		must(t, err)
		child := &child{job: job, told: &told{program: program}}
		if err := child.compare(c.pid); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		program.release()
	}
}

// As long as a program is held, nobody can write to it, rename it or remove it.
func TestHeldProgramsStayAsTheyAre(t *testing.T) {
	l := newLauncher(t)
	path := filepath.Join(t.TempDir(), "program.exe")
	data, err := os.ReadFile(system("cmd.exe"))
	must(t, err)
	must(t, os.WriteFile(path, data, 0o700))
	f := open(t, path)
	spec := command(t, own(), "exit", "7")
	spec.Executable = f
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	if other, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		other.Close()
		t.Error("it can be written to")
	}
	if os.Rename(path, path+".old") == nil || os.Remove(path) == nil {
		t.Error("it can be renamed or removed")
	}
	p, err := h.Release(t.Context())
	must(t, err)
	if status, err := p.Wait(t.Context()); err != nil || status.Code != 7 {
		t.Errorf("%+v, %v", status, err)
	}
}

// A group dies with its leader if the service is gone: the helper's handle of the
// job was the last one. What is held open here stands for the service.
func TestGroupDiesWithItsLeader(t *testing.T) {
	l, err := NewLauncher(helperPath(), 0)
	must(t, err)
	flag := filepath.Join(t.TempDir(), "flag")
	// start leaves a process behind; then cmd waits for the file.
	spec := command(t, own(), "start /b ping -n 600 127.0.0.1 >NUL & for /l %i in (0,0,1) do (if exist "+flag+" exit 0)")
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	p, err := h.Release(t.Context())
	must(t, err)
	tree := NewTree()
	job, err := openJob(h.Group(), jobQuery)
	must(t, err)
	wait(t, "both run", func() bool { n, err := activeIn(job); return err == nil && n >= 3 })
	windows.CloseHandle(job)
	must(t, l.Close()) // lets go of the job
	if !tree.Alive(p.ID()) || tree.Empty(p.ID(), h.Group()) {
		t.Fatal("the group ended with the service")
	}
	must(t, os.WriteFile(flag, nil, 0o600))
	wait(t, "the leader has ended", func() bool { return !tree.Alive(p.ID()) })
	wait(t, "the group has", func() bool { return tree.Empty(p.ID(), h.Group()) })
}

func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ; !is(); time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// Names come back from the journal, and others may have made such objects.
func TestGroupNames(t *testing.T) {
	job, group, err := newJob()
	must(t, err)
	defer windows.CloseHandle(job)
	found, err := openJob(group, jobQuery)
	must(t, err)
	windows.CloseHandle(found)
	for _, name := range []string{"", "job:", group + "0", strings.TrimPrefix(group, groupKind), groupKind + `Global\kpm-zz`, groupKind + `Local\` + group[len(groupKind+`Global\`):]} {
		if h, err := openJob(name, jobQuery); !errors.Is(err, errBadGroup) {
			windows.CloseHandle(h)
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := openJob(groupKind+jobPrefix+strings.Repeat("0", 2*jobRandom), jobQuery); !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		t.Errorf("a group that is gone: %v", err)
	}
	if !NewTree().Empty(core.ProcessID{}, group) {
		t.Error("an empty group is not")
	}
	// A user's job of a name like ours.
	foreign := groupKind + jobPrefix + strings.Repeat("1", 2*jobRandom)
	name, err := windows.UTF16PtrFromString(strings.TrimPrefix(foreign, groupKind))
	must(t, err)
	descriptor, err := windows.SecurityDescriptorFromString("O:WDG:WDD:(A;;GA;;;WD)")
	must(t, err)
	theirs, err := windows.CreateJobObject(&windows.SecurityAttributes{Length: 24, SecurityDescriptor: descriptor}, name)
	must(t, err)
	defer windows.CloseHandle(theirs)
	if _, err := openJob(foreign, jobQuery); !errors.Is(err, errBadGroup) {
		t.Errorf("somebody else's job: %v", err)
	}
}

// CommandLineToArgvW itself takes apart what we put together.
func TestWindowsTakesCommandLinesApart(t *testing.T) {
	argv := append([]string{`C:\Program Files\x.exe`}, oddArguments...)
	line, err := commandLine(argv)
	must(t, err)
	got, err := windows.DecomposeCommandLine(line)
	if err != nil || !slices.Equal(got, argv) {
		t.Errorf("%q became %q, %v", argv, got, err)
	}
}

func TestIsTerminal(t *testing.T) {
	f := open(t, helperPath())
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	null, err := os.OpenFile("NUL", os.O_RDONLY, 0)
	must(t, err)
	defer null.Close()
	for _, f := range []*os.File{f, r, w, null, nil} {
		if (Terminals{}).IsTerminal(f) {
			t.Errorf("%v is a terminal", f)
		}
	}
}

// Somebody who is not logged in: only LocalSystem can have them logged on, and Wine
// has nobody who does. The error names the call.
func TestALogonThatIsRefused(t *testing.T) {
	as := own()
	as.RunAs, as.Login, as.Session = core.AsUserElevated, "S-1-5-21-1-2-3-500", "1"
	made, err := newLauncher(t).tokenFor(t.Context(), as)
	if err == nil { // this is LocalSystem
		defer made.close()
		if user, err := tokenUser(made.primary); err != nil || user != as.Account.User {
			t.Errorf("the token is %s's, %v", user, err)
		}
	} else if !strings.Contains(err.Error(), "Lsa") {
		t.Errorf("%v", err)
	}
}
