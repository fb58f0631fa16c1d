//go:build linux

package confined

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the process may ask of the kernel: memory, threads of its own, and the
// bytes of what it was handed. Everything else is EPERM, and not the end of the
// process: a newer Go runtime that tries something is refused and goes on, and
// nobody gains by being refused.

// rule lets a system call pass if every test of its arguments holds.
type rule struct {
	number uint32
	tests  []test
}

// test is one about the low 32 bits of an argument. The arguments below are
// ints or flags, of which the kernel looks at no more, or would have to know
// flags that it does not.
type test struct {
	argument int
	compare  uint16 // BPF_JEQ, BPF_JGE or BPF_JSET
	value    uint32
	holds    bool // what compare must say
}

// threadFlags are those of the runtime's own threads (cloneFlags in package
// runtime; SETTLS on amd64). Without CLONE_THREAD it would be a process.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM |
	unix.CLONE_THREAD | unix.CLONE_SETTLS

// Operations of futex(2) that the runtime uses, as bits: WAIT is 0, WAKE is 1,
// both with the flag PRIVATE (linux/futex.h).
const (
	futexWake    = 1
	futexPrivate = 128
)

// rules are the whole list. Descriptors from firstHanded on are files that were
// handed over.
func rules(pid, firstHanded uint32) []rule {
	// Attack: read(2) and write(2) move the offset of a handed file, which the
	// service shares.
	own := test{0, unix.BPF_JGE, firstHanded, false}
	connection := test{0, unix.BPF_JEQ, Conn, true}
	list := []rule{
		{unix.SYS_READ, []test{own}},
		{unix.SYS_WRITE, []test{own}},
		{unix.SYS_RECVMSG, []test{connection}},
		{unix.SYS_CLONE, []test{{0, unix.BPF_JSET, unix.CLONE_THREAD, true}, {0, unix.BPF_JSET, ^uint32(threadFlags), false}}},
		{unix.SYS_TGKILL, []test{{0, unix.BPF_JEQ, pid, true}}}, // the runtime interrupts its own threads
		// Waiting and waking among its own threads; the kernel's own faults were
		// in the other operations (CVE-2014-3153).
		{unix.SYS_FUTEX, []test{{1, unix.BPF_JSET, futexPrivate, true}, {1, unix.BPF_JSET, ^uint32(futexPrivate | futexWake), false}}},
		// No code but the program's own; nothing that RLIMIT_DATA does not
		// count; no file, whose owner could cut it short under our hands.
		{unix.SYS_MMAP, []test{
			{2, unix.BPF_JSET, unix.PROT_EXEC, false},
			{3, unix.BPF_JSET, unix.MAP_SHARED | unix.MAP_GROWSDOWN, false},
			{3, unix.BPF_JSET, unix.MAP_ANONYMOUS, true},
		}},
	}
	for _, number := range []uint32{
		unix.SYS_PREAD64, unix.SYS_CLOSE,
		unix.SYS_MUNMAP, unix.SYS_MADVISE,
		unix.SYS_EPOLL_PWAIT, unix.SYS_NANOSLEEP, unix.SYS_SCHED_YIELD, unix.SYS_RESTART_SYSCALL,
		unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_CLOCK_GETTIME, unix.SYS_GETRANDOM,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	} {
		list = append(list, rule{number: number})
	}
	return list
}

// Offsets in struct seccomp_data (linux/seccomp.h) of a little-endian machine.
const (
	offsetNumber       = 0
	offsetArchitecture = 4
	offsetArguments    = 16
)

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func end(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

func jump(compare uint16, value uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | compare | unix.BPF_K, K: value, Jt: uint8(yes), Jf: uint8(no)}
}

// compile makes the program. Each rule is a block that is jumped over if the
// system call is another, and ends in allow or, by any test that does not hold,
// in refuse.
func compile(architecture uint32, list []rule) []unix.SockFilter {
	const allow, kill = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_KILL_PROCESS
	refuse := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	program := []unix.SockFilter{
		// Attack: system calls by another table (32 bits), whose numbers mean
		// something else.
		load(offsetArchitecture), jump(unix.BPF_JEQ, architecture, 1, 0), end(kill),
		load(offsetNumber),
	}
	for _, r := range list {
		size := 2*len(r.tests) + 1 // of the block, but for the two ends' last
		if len(r.tests) > 0 {
			size++
		}
		program = append(program, jump(unix.BPF_JEQ, r.number, 0, size))
		for i, t := range r.tests {
			toRefuse := 2*(len(r.tests)-i-1) + 1
			yes, no := 0, toRefuse
			if !t.holds {
				yes, no = toRefuse, 0
			}
			program = append(program, load(offsetArguments+8*uint32(t.argument)), jump(t.compare, t.value, yes, no))
		}
		program = append(program, end(allow))
		if len(r.tests) > 0 {
			program = append(program, end(refuse))
		}
	}
	return append(program, end(refuse))
}

// architectures are what the kernel calls those that this is built for.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// installFilter puts every thread under the rules, for good.
func installFilter() error {
	architecture, ok := architectures[runtime.GOARCH]
	if !ok {
		return errors.New("no system call filter for " + runtime.GOARCH)
	}
	// The next descriptor that the kernel gives out, as to whatever is handed
	// over: it gives the lowest that is free.
	next, err := unix.Dup(Conn)
	if err != nil {
		return err
	}
	if err := unix.Close(next); err != nil {
		return err
	}
	if next <= Conn {
		return fmt.Errorf("descriptor %d is not open", next)
	}
	program := compile(architecture, rules(uint32(os.Getpid()), uint32(next)))
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(&program[0])
	// TSYNC: all threads or none; the answer is one that could not follow.
	stuck, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return errno
	}
	if stuck != 0 {
		return fmt.Errorf("thread %d does not follow", stuck)
	}
	return nil
}
