//go:build linux

package linux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/signal"
	"kpm/platform/linux/held"
	"kpm/platform/unix/pam"
	"kpm/platform/unix/pam/askpam"
)

// notReleased holds a launch to failing at a step, with the kernel's answer and
// what can be done about it.
func notReleased(t *testing.T, l *Launcher, what, path string, step held.Step, want syscall.Errno) {
	t.Helper()
	h, err := l.Prepare(t.Context(), command(t, path))
	must(t, err)
	p, err := h.Release(t.Context())
	if p != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), step.String()) || !strings.Contains(err.Error(), "("+remedies[want]+")") {
		t.Errorf("%s: %v, %v; expected %v at %q and what to do", what, p, err, want, step)
	}
}

// What no processor of this machine runs, and what is no program.
func TestProgramsForOtherMachines(t *testing.T) {
	l := newLauncher(t, 1, "")
	native, err := os.ReadFile("/usr/bin/true")
	must(t, err)
	patched := func(machine elf.Machine, change func(image []byte)) []byte {
		image := append([]byte(nil), native...)
		binary.LittleEndian.PutUint16(image[18:], uint16(machine)) // e_machine
		if change != nil {
			change(image)
		}
		return image
	}
	dir := public(t)
	for name, image := range map[string][]byte{
		"empty":         nil,
		"text":          []byte("echo hello\n"),
		"for z/Series":  patched(elf.EM_S390, nil),
		"for SPARC":     patched(elf.EM_SPARCV9, nil),
		"32-bit, ARM":   patched(elf.EM_ARM, func(image []byte) { image[elf.EI_CLASS] = byte(elf.ELFCLASS32) }),
		"big-endian":    patched(elf.EM_PPC64, func(image []byte) { image[elf.EI_DATA] = byte(elf.ELFDATA2MSB) }),
		"an object":     patched(elf.EM_X86_64, func(image []byte) { image[16] = byte(elf.ET_REL) }),
		"cut short":     native[:32],
		"of macOS":      append([]byte("\xcf\xfa\xed\xfe"), make([]byte, 4096)...),
		"of Windows":    append([]byte("MZ\x90\x00"), make([]byte, 4096)...),
		"a script of #": []byte("#!\n"),
	} {
		path := filepath.Join(dir, "program")
		must(t, os.WriteFile(path, image, 0o755))
		notReleased(t, l, name, path, held.StepExec, unix.ENOEXEC)
	}
}

// A program whose loader this machine does not have, as of another distribution or of
// another word size: the kernel says only that something is not there.
func TestProgramWithoutItsLoader(t *testing.T) {
	image, err := os.ReadFile("/usr/bin/true")
	must(t, err)
	program, err := elf.NewFile(bytes.NewReader(image))
	must(t, err)
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			copy(image[part.Off:], "/nix")
		}
	}
	path := filepath.Join(public(t), "program")
	must(t, os.WriteFile(path, image, 0o755))
	notReleased(t, newLauncher(t, 1, ""), "no loader", path, held.StepExec, unix.ENOENT)
}

// A file system from which nothing is executed: what lies there is no program,
// and the error says where to look.
func TestProgramOnANoexecMount(t *testing.T) {
	l := newLauncher(t, 1, "")
	dir := public(t)
	copyFile(t, "/usr/bin/true", filepath.Join(dir, "program"))
	bind(t, dir, dir, unix.MS_NOEXEC)
	notReleased(t, l, "noexec", filepath.Join(dir, "program"), held.StepExec, unix.EACCES)
}

// A machine that can make no further process says so, and what to do; what is no
// answer of the kernel's is left as it is. That a full process table is met like this
// shows vmtests/e2e TestOutOfProcesses.
func TestWhatCanBeDoneAboutAFullMachine(t *testing.T) {
	for errno, says := range map[syscall.Errno]string{unix.EAGAIN: "end some", unix.ENOMEM: "end some", unix.ENOSPC: "end some"} {
		err := explain(os.NewSyscallError("clone3", errno))
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), "clone3") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v", err)
		}
	}
	if err := explain(io.EOF); err != io.EOF {
		t.Errorf("what is no answer of the kernel's became %v", err)
	}
}

// A machine without cgroups of version 2, and one where they may not be written to:
// commands run, and an administrator reads what is missing and what to do.
func TestNoCgroups(t *testing.T) {
	for name, c := range map[string]cgroups{"none": {}, "not to be written to": {point: "/proc", root: "/"}, "elsewhere": {point: "/proc", root: "/../elsewhere"}} {
		home, err := detectCgroup(c)
		if home != "" || !errors.Is(err, errNoCgroup) || !strings.Contains(err.Error(), "/proc") {
			t.Errorf("%s: %q, %v", name, home, err)
		}
	}
	out, status := output(t, newLauncher(t, 1, ""), shell(t, "echo runs"))
	if out != "runs\n" || status != (core.ExitStatus{}) {
		t.Errorf("%q, %+v", out, status)
	}
}

// A machine where PAM has no file for us: nobody is asked again who they are, which
// says what to do; programs in people's sessions run without a PAM session.
func TestNoPAMFile(t *testing.T) {
	p := &PAM{askpam.New(nil, []string{filepath.Join(t.TempDir(), "pam.d")}, pam.Check)}
	err := p.Authenticate(t.Context(), otherAccount, nil)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "authenticate: PAM has no file") || !strings.Contains(err.Error(), "install the package's, or write one") {
		t.Errorf("%v", err)
	}
	spec := shell(t, "id -u")
	spec.As = core.Identity{RunAs: core.AsUser, Account: otherAccount}
	out, status := output(t, NewSessionLauncher(newLauncher(t, 1, ""), Sessions{}, p), spec)
	if out != "4242\n" || status != (core.ExitStatus{}) {
		t.Errorf("%q, %+v", out, status)
	}
}

// An account is removed while its program runs: the program is known by its
// number, goes on, is signalled and waited for; nobody of that name is found any
// more.
func TestAnAccountThatIsRemovedMeanwhile(t *testing.T) {
	a := accounts(t, "root:x:0:0::/:/bin/sh\nleaver:x:4242:4242::/:/bin/sh\n", "")
	leaver, err := a.ByName("leaver")
	must(t, err)
	l := newLauncher(t, 1, "")
	spec := shell(t, "exec sleep 1000")
	spec.As = core.Identity{Account: leaver}
	p, h := start(t, l, spec)
	must(t, os.WriteFile(a.passwd.path, []byte("root:x:0:0::/:/bin/sh\n"), 0o644))
	for _, find := range []func() (core.Account, error){
		func() (core.Account, error) { return a.ByName("leaver") }, func() (core.Account, error) { return a.ByID(leaver.User) },
	} {
		if again, err := find(); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("it is still found: %+v, %v", again, err)
		}
	}
	if uid := statusOf(t, h.ID().PID)["Uid"]; uid != "4242 4242 4242 4242" {
		t.Errorf("its program is %s's", uid)
	}
	must(t, p.Signal(signal.Terminate))
	if status, err := p.Wait(t.Context()); err != nil || status.Signal != int(unix.SIGTERM) {
		t.Errorf("%+v, %v", status, err)
	}
}
