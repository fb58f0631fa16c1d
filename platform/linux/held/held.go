//go:build linux

// Package held is the helper's side of a two-phase launch: a process that was
// started ahead of need, is told what to become, waits, and then becomes it or
// ends without having run anything (decision 32).
//
// It decides nothing. Who may start what was settled before the helper hears
// of it; package linux, which starts helpers, is the only one that talks to
// them. It is kept free of os, fmt and net: idle helpers cost memory.
package held

import (
	"encoding/binary"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is argv[0] of a helper and how process lists show it.
const Name = "keeperlaunch"

// Environ is the environment of a helper, which no program it becomes ever
// sees. One processor: no other thread can be created while exec replaces this
// process, which would crash it. A crash dies by signal 6, so that it cannot be
// mistaken for a program that ran and returned 2.
var Environ = []string{"GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=crash"}

// exitUnused is the status of a helper that ran nothing.
const exitUnused = 125

// Main is the helper. conn is its connection to the service: a stream socket
// on which it gets one Spec, then one byte that releases it. Anything else,
// end of file first of all, ends it without a trace. Main does not return.
func Main(conn int) {
	// Credentials and the signal mask belong to a thread, and exec keeps those
	// of the thread that calls it.
	runtime.LockOSThread()
	settle(conn)
	spec, files, ok := receive(conn)
	report := Report{Step: StepSpec}
	if ok {
		report = become(conn, &spec, files)
	}
	// The service may be gone; then nobody needs to know.
	unix.Sendto(conn, report.encode(), unix.MSG_NOSIGNAL, nil)
	syscall.Exit(exitUnused)
}

// become turns this process into the program and returns only if that is not
// possible.
func become(conn int, spec *Spec, files []int) Report {
	program, errno := prepare(spec, files)
	if errno != 0 {
		return Report{StepSpec, errno}
	}
	for i, file := range files[FileStdin : FileStderr+1] {
		if err := unix.Dup3(file, i, 0); err != nil {
			return Report{StepDescriptors, err.(syscall.Errno)}
		}
	}
	if spec.Terminal {
		if err := unix.IoctlSetInt(files[FileTerminal], unix.TIOCSCTTY, 0); err != nil {
			return Report{StepTerminal, err.(syscall.Errno)}
		}
	}
	if !released(conn) {
		syscall.Exit(exitUnused)
	}
	if report := assume(spec); report.Step != 0 {
		return report
	}
	// As the target user: somebody's right to be in a directory is not lent to
	// another.
	if err := unix.Fchdir(files[FileDir]); err != nil {
		return Report{StepDir, err.(syscall.Errno)}
	}
	return program.exec()
}

// released waits for the byte that lets the program run. End of file means
// that the service is gone and nobody would know what ran.
//
// The system call is a raw one: the runtime is not told that this thread waits,
// and wakes nothing when it goes on. That is a quarter of the time from the
// release to the exec.
func released(conn int) bool {
	var b byte
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(conn), uintptr(unsafe.Pointer(&b)), 1)
		if errno != unix.EINTR {
			return n == 1
		}
	}
}

// assume gives this thread, and with exec the program, the target's groups and
// ids. Until here the helper is root, so the target user can neither signal,
// stop nor trace it while it waits. The system calls are made for this thread
// alone: exec ends the others, and package syscall would signal each of them.
func assume(spec *Spec) Report {
	var groups unsafe.Pointer
	if len(spec.Groups) > 0 {
		groups = unsafe.Pointer(&spec.Groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(spec.Groups)), uintptr(groups), 0); errno != 0 {
		return Report{StepGroups, errno}
	}
	gid, uid := uintptr(spec.GID), uintptr(spec.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return Report{StepGroups, errno}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return Report{StepUser, errno}
	}
	return Report{}
}

// receive reads a Spec and the descriptors that came with its first byte.
func receive(conn int) (Spec, []int, bool) {
	var head [4096]byte
	var oob [128]byte
	n, oobn, flags, err := recvmsg(conn, head[:], oob[:])
	if err != nil || n == 0 {
		syscall.Exit(exitUnused)
	}
	if n < 4 || flags&unix.MSG_CTRUNC != 0 {
		return Spec{}, nil, false
	}
	files, ok := rights(oob[:oobn])
	size := binary.BigEndian.Uint32(head[:])
	if !ok || size > MaxSpec || uint64(n-4) > uint64(size) {
		return Spec{}, nil, false
	}
	body := make([]byte, size)
	have := copy(body, head[4:n])
	for have < len(body) {
		n, err := unix.Read(conn, body[have:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			syscall.Exit(exitUnused)
		}
		have += n
	}
	spec, ok := Decode(body)
	want := FileTerminal
	if spec.Terminal {
		want = maxFiles
	}
	return spec, files, ok && len(files) == want
}

func recvmsg(conn int, b, oob []byte) (n, oobn, flags int, err error) {
	for {
		n, oobn, flags, _, err = unix.Recvmsg(conn, b, oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			return n, oobn, flags, err
		}
	}
}

func rights(oob []byte) ([]int, bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, false
	}
	files, err := unix.ParseUnixRights(&messages[0])
	return files, err == nil
}
