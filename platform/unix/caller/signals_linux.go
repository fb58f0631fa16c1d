package caller

import (
	"os"
	"os/signal"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	told "kpm/core/signal"
	"kpm/platform/linux/early"
)

// Watch implements port.Signals: nohup's SIGHUP stays ignored, and so does what
// a script's trap ignores.
func (s signals) Watch(deliver func(told.Sent)) {
	s.console.wake = newWakePipe()
	ends, err := newPipe()
	if err != nil {
		return
	}
	noteEnd = int32(ends[1])
	s.console.stop.noted.Store(int32(ends[0]))
	for _, known := range forwarded {
		watch(known.number)
	}
	watch(unix.SIGWINCH)
	watch(unix.SIGTSTP)
	for _, kept := range early.Kept() {
		s.console.stop.later.add(siginfo{number: kept.Number, session: int32(kept.By), pid: 1})
	}
	early.LetSignals() // to this thread
	go s.read(os.NewFile(uintptr(ends[0]), "signals"), deliver)
}

// watch has a signal noted, unless it is to be ignored.
func watch(sig unix.Signal) {
	if !signal.Ignored(sig) && early.Ignored&(1<<(sig-1)) == 0 {
		note(sig)
	}
}

// ignoreAgain undoes what the runtime has done to signals that are to be
// ignored.
func ignoreAgain() {
	for _, known := range forwarded {
		if early.Ignored&(1<<(known.number-1)) != 0 {
			setAction(known.number, action{handler: ignore})
		}
	}
}

// read takes signals as they come, for as long as the process lives.
func (s signals) read(noted *os.File, deliver func(told.Sent)) {
	// It may stop the process by a signal to its own thread, while another one, Watch's,
	// hears of others.
	runtime.LockOSThread()
	if !early.LetSignals() {
		runtime.UnlockOSThread()
	}
	for {
		info, held := s.console.stop.later.next()
		if !held {
			n, err := noted.Read(info.bytes())
			if err != nil || n != len(info.bytes()) {
				return
			}
		}
		by := int32(0)
		if info.code <= 0 && info.pid > 0 { // a process has sent it
			by = info.session
		}
		s.take(unix.Signal(info.number), uint32(max(0, by)), deliver)
	}
}

// siginfo is siginfo_t of the kernel on 64-bit machines, as kill(2) and then our
// handler fill it in: session is the sender's, negative if the handler could not
// look it up.
type siginfo struct {
	number, session, code int32
	_                     int32
	pid, uid              int32
	_                     [104]byte
}

// bytes are i as the kernel has it.
func (i *siginfo) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(i)), unsafe.Sizeof(*i)) }

// EndBy implements port.Signals.
func (signals) EndBy(sig told.Signal) {
	number := number(sig)
	switch sig {
	case told.Interrupt, told.Terminate, told.Hangup:
		runtime.LockOSThread()
		early.LetSignals()
		setAction(number, action{handler: byDefault})
		// To this thread: it does not return.
		unix.Tgkill(unix.Getpid(), unix.Gettid(), number)
	}
	os.Exit(exitSignal + int(number))
}
