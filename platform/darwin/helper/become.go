//go:build unix

package helper

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
)

// fault is where a child gives up.
type fault struct {
	step  held.Step
	cause error
}

// become is the child. It gets one Spec, then one byte that releases it. Anything
// else, the end of its socket first of all, ends it without a trace.
func become(system func() (System, error)) {
	orders := &receiver{fd: held.OrdersFd}
	unix.CloseOnExec(orders.fd)
	spec, err := held.ReadSpec(orders)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		os.Exit(exitUnused)
	}
	failed := fault{held.StepSpec, err}
	if err == nil {
		failed = prepare(orders, &spec, system)
	}
	var number unix.Errno
	errors.As(failed.cause, &number)
	send(orders.fd, held.Report{Step: failed.step, Errno: uint32(number)}.Encode())
	os.Exit(exitUnused)
}

// prepare does everything from the descriptors to the program, and returns only if
// that is not possible.
func prepare(orders *receiver, spec *held.Spec, system func() (System, error)) fault {
	if len(orders.files) != held.FileOpened+int(spec.Opened) {
		return fault{held.StepSpec, nil}
	}
	calls, err := system()
	if err != nil {
		return fault{held.StepExec, unix.ENOSYS}
	}
	dir := orders.files[held.FileDir]
	inherit := []int{0, 1, 2}
	for i := range inherit {
		if err := unix.Dup2(orders.files[held.FileStdin+i], i); err != nil {
			return fault{held.StepDescriptors, err}
		}
	}
	for i, file := range orders.files[held.FileOpened:] {
		if err := unix.Dup2(file, held.FirstOpened+i); err != nil {
			return fault{held.StepDescriptors, err}
		}
		inherit = append(inherit, held.FirstOpened+i)
	}
	awaitRelease(orders)
	if failed := assume(calls, spec); failed.cause != nil {
		return failed
	}
	// As the target user: somebody's right to be in a directory is not lent to
	// another.
	if err := unix.Fchdir(dir); err != nil {
		return fault{held.StepDir, err}
	}
	if same, err := names(spec.Path, spec.Identity); err != nil || !same {
		return fault{held.StepChanged, err}
	}
	// The Go runtime has raised the soft limit of open files, which programs that
	// use select(2) do not survive. Only syscall.Exec knows the original value; it
	// restores it before it tries, and an empty path cannot be executed.
	syscall.Exec("", []string{held.Name}, nil)
	return fault{held.StepExec, calls.BecomeSuspended(spec.Path, spec.Argv, spec.Env, inherit)}
}

// awaitRelease waits for the byte that lets the program be there. The end of the
// socket means that the service is gone and nobody would know what ran.
func awaitRelease(orders *receiver) {
	var b [1]byte
	if _, err := io.ReadFull(orders, b[:]); err != nil {
		os.Exit(exitUnused)
	}
}

// assume takes the target's groups and ids. Until here the child is root, so the
// target user can neither signal, stop nor trace it while it waits.
//
// Attack (CVE-2019-14287 and its kind): a call that was believed to have changed
// the user has not. What came of it is looked at, and that there is no way back.
func assume(calls System, spec *held.Spec) fault {
	uid, gid := int(spec.UID), int(spec.GID)
	if err := calls.BecomeMember(spec.User, gid); err != nil {
		return fault{held.StepGroups, err}
	}
	if err := syscall.Setgid(gid); err != nil {
		return fault{held.StepGroups, err}
	}
	if err := syscall.Setuid(uid); err != nil {
		return fault{held.StepUser, err}
	}
	if unix.Getuid() != uid || unix.Geteuid() != uid || unix.Getgid() != gid || unix.Getegid() != gid {
		return fault{held.StepUser, unix.EPERM}
	}
	if uid != 0 && syscall.Seteuid(0) == nil {
		return fault{held.StepUser, unix.EPERM}
	}
	return fault{}
}

// names reports whether path still names the approved file.
func names(path string, want held.Identity) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, err
	}
	return Identify(&st) == want, nil
}

// Identify returns the identity of a file.
func Identify(st *unix.Stat_t) held.Identity {
	return held.Identity{
		Device: uint64(uint32(st.Dev)), Inode: st.Ino,
		ChangeSec: uint64(st.Ctim.Sec), ChangeNsec: uint64(st.Ctim.Nsec),
	}
}
