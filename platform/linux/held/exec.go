//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// busyWaits are how long exec is put off, in milliseconds, while somebody has
// the program open for writing. A copy that was just written is: processes that
// the service forks at that moment hold its descriptor until they exec.
var busyWaits = [...]int64{0, 1, 2, 4, 8, 16, 32}

// program is ready to be executed: nothing is allocated after this.
type program struct {
	handle   int
	script   *byte // nil for a binary
	identity Identity
	argv     []*byte
	env      []*byte
}

func prepare(spec *Spec, files []int) (*program, syscall.Errno) {
	p := &program{handle: files[FileExecutable], identity: spec.Identity}
	var err error
	if p.argv, err = syscall.SlicePtrFromStrings(spec.Argv); err != nil {
		return nil, unix.EINVAL
	}
	if p.env, err = syscall.SlicePtrFromStrings(spec.Env); err != nil {
		return nil, unix.EINVAL
	}
	if spec.Script == "" {
		return p, 0
	}
	if p.script, err = unix.BytePtrFromString(spec.Script); err != nil {
		return nil, unix.EINVAL
	}
	return p, 0
}

// exec returns only if it does not succeed.
func (p *program) exec() Report {
	var errno syscall.Errno
	for _, wait := range busyWaits {
		if wait > 0 {
			pause := unix.NsecToTimespec(wait * 1e6)
			unix.Nanosleep(&pause, nil)
		}
		if p.script == nil {
			errno = p.execHandle()
		} else if report := p.check(); report.Step != 0 {
			return report
		} else {
			errno = p.execPath()
		}
		if errno != unix.ETXTBSY {
			break
		}
	}
	return Report{StepExec, errno}
}

// execHandle executes the sealed file itself, whatever its path names by now
// (CVE-2021-3969).
func (p *program) execHandle() syscall.Errno {
	var empty byte
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(p.handle), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.env[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}

// execPath executes a script by its path: the interpreter opens it again, and
// the handle is closed by then.
func (p *program) execPath() syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.script)),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.env[0])))
	return errno
}

// check reports whether the script's path still names the approved file.
func (p *program) check() Report {
	fd, err := unix.Open(unix.BytePtrToString(p.script), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Report{StepScript, err.(syscall.Errno)}
	}
	defer unix.Close(fd)
	now, err := Identify(fd)
	if err != nil {
		return Report{StepScript, err.(syscall.Errno)}
	}
	if now != p.identity {
		return Report{StepScript, 0}
	}
	return Report{}
}

// Identify returns the identity of the file behind fd.
func Identify(fd int) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Identity{}, err
	}
	return Identity{st.Dev, st.Ino, int64(st.Ctim.Sec), int64(st.Ctim.Nsec)}, nil
}
