//go:build linux

package early

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// LetSignals lets the calling thread take the signals again that were blocked before the
// request was sent, so that none is lost: each thread that the runtime starts has them
// blocked. It returns false, and does nothing, if there was no such request.
//
// But the runtime lets nobody block SIGHUP, SIGINT, SIGQUIT and SIGTERM: those that come
// in the millisecond that it takes to start end keepersudo, and the service, which sees
// it go, ends the command.
func LetSignals() bool {
	return first.signals != 0 && unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{Val: [16]uint64{first.mask}}, nil) == nil
}

// commands are the signals that the service is told of, one bit each from signal 1 on. By
// name they stand in platform/unix/caller; their numbers in frames are Linux's own.
const commands = 1<<(unix.SIGHUP-1) | 1<<(unix.SIGINT-1) | 1<<(unix.SIGQUIT-1) | 1<<(unix.SIGTERM-1) |
	1<<(unix.SIGUSR1-1) | 1<<(unix.SIGUSR2-1) | 1<<(unix.SIGALRM-1) | 1<<(unix.SIGCONT-1)

// bit is that of a signal in a set.
//
//go:nosplit
//go:norace
func bit(number unix.Signal) uint64 { return 1 << (uint(number) - 1) }

// blockSignals has the signals wait that are the command's once the request is sent:
// it may run before we are told, and what it is told must not end us alone. What whoever
// started this process has it ignore stays ignored.
//
//go:nosplit
//go:norace
func (s *stage) blockSignals() bool {
	forwarded, stop := uint64(commands), bit(unix.SIGTSTP)
	for number := unix.SIGHUP; number <= unix.SIGTSTP; number++ {
		if (forwarded|stop)&bit(number) != 0 && ignored(number) {
			forwarded, stop = forwarded&^bit(number), stop&^bit(number)
		}
	}
	var ok bool
	if s.signals, ok = waiting(forwarded); !ok {
		return false
	}
	if s.stop, ok = waiting(stop); !ok {
		closeFile(s.signals)
		s.signals = 0
		return false
	}
	all := forwarded | stop
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&s.mask)), 8, 0, 0)
	return true
}

//go:nosplit
//go:norace
func ignored(number unix.Signal) bool {
	var action [4]uintptr // struct sigaction of the kernel, the handler first
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0)
	return errno == 0 && action[0] == 1 // SIG_IGN
}

// waiting makes a descriptor that tells of signals.
//
//go:nosplit
//go:norace
func waiting(set uint64) (int, bool) {
	fd, _, errno := unix.RawSyscall6(unix.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&set)), 8, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK, 0, 0)
	return int(fd), errno == 0
}

// Signal is one that was taken and that the service was not told of.
type Signal struct {
	Number int32
	By     uint32 // the session of the process that has sent it, 0 if that is not known
}

// Kept returns the signals that the service is still to be told of, in their order.
func Kept() []Signal { return first.kept[:first.unsent] }

// pass tells the service of the signals that wait, or keeps them for the runtime if it is
// not to send or cannot. It reports whether it has kept none.
//
//go:nosplit
//go:norace
func (s *stage) pass(send bool) bool {
	for s.unsent < len(s.kept) {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.signals), uintptr(unsafe.Pointer(&s.info)), uintptr(len(s.info)))
		if errno != 0 || n != uintptr(len(s.info)) {
			break
		}
		info := (*unix.SignalfdSiginfo)(unsafe.Pointer(&s.info))
		by := uint32(0)
		if info.Code <= 0 && info.Pid > 0 { // a process has sent it
			if session, _, errno := unix.RawSyscall(unix.SYS_GETSID, uintptr(info.Pid), 0, 0); errno == 0 {
				by = uint32(session)
			}
		}
		if send = send && s.tell(info.Signo, by); !send {
			s.kept[s.unsent] = Signal{int32(info.Signo), by}
			s.unsent++
			continue
		}
		if !s.started && unix.Signal(info.Signo) != unix.SIGCONT {
			s.interrupted = info.Signo
		}
	}
	return s.unsent == 0
}

// tell tells the service of one, and reports whether it could. It does not wait: a service
// that hears nothing must not hold keepersudo.
//
//go:nosplit
//go:norace
func (s *stage) tell(number, by uint32) bool {
	s.word[0] = byte(door.TypeSignal)
	put(s.word[1:5], 8)
	put(s.word[5:9], number)
	put(s.word[9:13], by)
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.conn), uintptr(unsafe.Pointer(&s.word)), uintptr(len(s.word)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	return errno == 0 && n == uintptr(len(s.word))
}

// put writes a number as frames have it.
//
//go:nosplit
//go:norace
func put(b []byte, n uint32) {
	for i := range b {
		b[i] = byte(n >> (24 - 8*uint(i)))
	}
}

// endInterrupted ends by the signal that ended the request: a shell stops its script when
// Ctrl-C has killed a command, and goes on when the command returned.
//
//go:nosplit
//go:norace
func (s *stage) endInterrupted() {
	switch number := unix.Signal(s.interrupted); number {
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP:
		self, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		unix.RawSyscall(unix.SYS_KILL, self, uintptr(number), 0)
		set := bit(number)
		unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_UNBLOCK, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
	}
	exit(exitSignal + s.interrupted)
}
