//go:build linux

package confined

import (
	"testing"

	"golang.org/x/sys/unix"
)

// run is what the kernel does with a program: it looks at the number of a system
// call, the architecture and the low halves of the arguments.
func run(t *testing.T, program []unix.SockFilter, architecture, number uint32, args [6]uint32) uint32 {
	t.Helper()
	data := map[uint32]uint32{offsetNumber: number, offsetArchitecture: architecture}
	for i, arg := range args {
		data[offsetArguments+8*uint32(i)] = arg
	}
	var value uint32
	for at := 0; at < len(program); at++ {
		step := program[at]
		holds := false
		switch step.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			value = data[step.K]
			continue
		case unix.BPF_RET | unix.BPF_K:
			return step.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			holds = value == step.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			holds = value >= step.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			holds = value&step.K != 0
		default:
			t.Fatalf("step %d has the code %#x", at, step.Code)
		}
		if holds {
			at += int(step.Jt)
		} else {
			at += int(step.Jf)
		}
	}
	t.Fatal("the program has no end")
	return 0
}

func TestTheFilter(t *testing.T) {
	const pid, next = 77, 6
	const anonymous = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	for name, architecture := range architectures {
		program := compile(architecture, rules(pid, next))
		for _, c := range []struct {
			what   string
			number uint32
			args   [6]uint32
			passes bool
		}{
			{"read from the connection", unix.SYS_READ, [6]uint32{Conn}, true},
			{"read from the runtime's own", unix.SYS_READ, [6]uint32{next - 1}, true},
			{"read from a handed file", unix.SYS_READ, [6]uint32{next}, false},
			{"read from no descriptor", unix.SYS_READ, [6]uint32{0xffffffff}, false},
			{"write to the connection", unix.SYS_WRITE, [6]uint32{Conn}, true},
			{"write to a handed file", unix.SYS_WRITE, [6]uint32{next}, false},
			{"read a handed file from a place", unix.SYS_PREAD64, [6]uint32{next}, true},
			{"receive", unix.SYS_RECVMSG, [6]uint32{Conn}, true},
			{"receive elsewhere", unix.SYS_RECVMSG, [6]uint32{next}, false},
			{"send a descriptor", unix.SYS_SENDMSG, [6]uint32{Conn}, false},
			{"a thread", unix.SYS_CLONE, [6]uint32{threadFlags}, true},
			{"a thread without a store", unix.SYS_CLONE, [6]uint32{threadFlags &^ unix.CLONE_SETTLS}, true},
			{"a process", unix.SYS_CLONE, [6]uint32{uint32(unix.SIGCHLD)}, false},
			{"a process with our memory", unix.SYS_CLONE, [6]uint32{threadFlags &^ unix.CLONE_THREAD}, false},
			{"a thread in a namespace", unix.SYS_CLONE, [6]uint32{threadFlags | unix.CLONE_NEWUSER}, false},
			{"a thread that somebody traces", unix.SYS_CLONE, [6]uint32{threadFlags | unix.CLONE_PTRACE}, false},
			{"interrupt a thread", unix.SYS_TGKILL, [6]uint32{pid, pid + 1}, true},
			{"interrupt somebody's thread", unix.SYS_TGKILL, [6]uint32{pid + 1, pid + 1}, false},
			{"signal", unix.SYS_KILL, [6]uint32{pid}, false},
			{"wait for a thread", unix.SYS_FUTEX, [6]uint32{0, 128}, true},
			{"wake a thread", unix.SYS_FUTEX, [6]uint32{0, 129}, true},
			{"wake another process", unix.SYS_FUTEX, [6]uint32{0, 1}, false},
			{"wait with priority", unix.SYS_FUTEX, [6]uint32{0, 128 | 11}, false},
			{"memory", unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ | unix.PROT_WRITE, anonymous}, true},
			{"code", unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ | unix.PROT_EXEC, anonymous}, false},
			{"shared memory", unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ, unix.MAP_SHARED | unix.MAP_ANONYMOUS}, false},
			{"a stack that grows", unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ, anonymous | unix.MAP_GROWSDOWN}, false},
			{"a file in memory", unix.SYS_MMAP, [6]uint32{0, 4096, unix.PROT_READ, unix.MAP_PRIVATE, next}, false},
			{"open", unix.SYS_OPENAT, [6]uint32{}, false},
			{"execute", unix.SYS_EXECVE, [6]uint32{}, false},
			{"what a later kernel has", 9999, [6]uint32{}, false},
			{"a call of x32", 0x40000000, [6]uint32{Conn}, false},
		} {
			want := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
			if c.passes {
				want = unix.SECCOMP_RET_ALLOW
			}
			if got := run(t, program, architecture, c.number, c.args); got != want {
				t.Errorf("%s: %s: %#x, expected %#x", name, c.what, got, want)
			}
		}
		// Attack: the 32-bit table, in which other numbers mean these calls.
		if got := run(t, program, architecture&^0x80000000, unix.SYS_READ, [6]uint32{Conn}); got != unix.SECCOMP_RET_KILL_PROCESS {
			t.Errorf("%s: another table of calls: %#x", name, got)
		}
	}
}
