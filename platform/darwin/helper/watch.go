//go:build unix

package helper

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
)

// watcher is the helper: it leads the session and is the parent of what becomes
// the program, which is a job in it as below a shell. The kernel stops no program
// whose parent is in another session, and without that Ctrl-Z does nothing. It is
// root, so that the target user can neither end nor trace it, and it outlives the
// service: whoever restarts that finds the program with its parent.
type watcher struct {
	conn *receiver // to the service
	own  int       // the helper's own process group

	mu       sync.Mutex
	pid      int // the child, and its process group; 0 before it is there and when it was reaped
	terminal int // -1 if there is none
	control  int // to whoever has the terminal's other side
	front    int // who had the terminal when the program was stopped
}

// watch is the helper. It does not return.
func watch() {
	w := &watcher{conn: &receiver{fd: held.WatchFd}, terminal: -1, control: -1}
	unix.CloseOnExec(held.WatchFd)
	// What launchctl has started is in launchctl's session.
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		if _, err := unix.Setsid(); err != nil {
			os.Exit(exitUnused)
		}
	}
	w.own = unix.Getpgrp()
	// A helper in the background of its terminal gives it to others all the same.
	// The child gets these with it, and the program every signal's default.
	signal.Ignore(unix.SIGTTOU, unix.SIGTTIN, unix.SIGTSTP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	send(w.conn.fd, held.Message{Kind: held.NoticeHelper, Value: uint32(os.Getpid())}.Encode())
	pid := w.begin()
	send(w.conn.fd, held.Message{Kind: held.NoticeChild, Value: uint32(pid)}.Encode())
	go w.obey()
	go func() { // its terminal has gone
		for range hangups {
			w.tell(unix.SIGHUP)
			w.tell(unix.SIGCONT) // a program that is stopped hears nothing
		}
	}()
	w.wait(pid)
}

// order reads one order; there is none when the service is gone.
func (w *watcher) order() (held.Message, bool) {
	var b [held.MessageSize]byte
	if _, err := io.ReadFull(w.conn, b[:]); err != nil {
		return held.Message{}, false
	}
	return held.DecodeMessage(b[:])
}

// begin waits for the order to start the child, and does so in a process group of
// its own. Without a service there is nothing to begin.
func (w *watcher) begin() int {
	m, ok := w.order()
	if !ok || m.Kind != held.OrderBegin {
		os.Exit(exitUnused)
	}
	err := w.attach(m.Value)
	if err == nil {
		err = w.start()
	}
	if err == nil && m.Value == held.InForeground {
		w.mu.Lock()
		w.give(w.pid)
		w.mu.Unlock()
	}
	if err != nil {
		var number unix.Errno
		errors.As(err, &number)
		send(w.conn.fd, held.Message{Kind: held.NoticeFailed, Value: uint32(number)}.Encode())
		os.Exit(exitUnused)
	}
	if w.control >= 0 {
		go w.heed(w.control)
	}
	return w.pid
}

// start starts the child.
func (w *watcher) start() error {
	self, err := os.Executable()
	if err != nil {
		return unix.ENOENT
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	pid, err := syscall.ForkExec(self, []string{held.Name, held.Become}, &syscall.ProcAttr{
		Dir: "/", Env: held.Environ(), Files: []uintptr{uintptr(null), uintptr(null), uintptr(null), held.OrdersFd},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	unix.Close(held.OrdersFd)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.pid, w.front = pid, pid
	w.mu.Unlock()
	return nil
}

// wait sees the child stop and end, says so, and ends.
func (w *watcher) wait(child int) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(child, &status, unix.WUNTRACED, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid != child {
			os.Exit(exitUnused)
		}
		s := held.Status(status)
		if sig, is := s.Stopped(); is {
			w.stopped(sig)
			continue
		}
		w.mu.Lock()
		w.pid = 0 // its number may be somebody else's from now on
		// What the program left in the background is not hung up on when its
		// session's leader ends.
		w.give(w.own)
		w.mu.Unlock()
		send(w.conn.fd, held.Message{Kind: held.NoticeEnded, Value: uint32(s)}.Encode())
		os.Exit(0)
	}
}

// stopped takes the terminal, and says so to whoever has the other side.
func (w *watcher) stopped(by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if by == 0 || w.terminal < 0 { // it has not run yet
		return
	}
	if group, err := unix.IoctlGetInt(w.terminal, unix.TIOCGPGRP); err == nil && group > 0 && group != w.own {
		w.front = group
	}
	w.give(w.own)
	send(w.control, []byte{byte(by)})
}

// give gives the terminal to a process group. w.mu is held.
func (w *watcher) give(group int) {
	if w.terminal >= 0 {
		unix.IoctlSetPointerInt(w.terminal, unix.TIOCSPGRP, group)
	}
}

// tell sends the program's process group a signal, as long as there is one.
func (w *watcher) tell(sig syscall.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pid > 0 {
		unix.Kill(-w.pid, sig)
	}
}

// obey does what the service orders until it is gone. Then the child ends by
// itself if it was not released; a program goes on, with this process as its
// parent.
func (w *watcher) obey() {
	for {
		m, ok := w.order()
		if !ok {
			return
		}
		if m.Kind == held.OrderSignal {
			w.tell(syscall.Signal(m.Value))
		}
	}
}

// attach makes the terminal that has come the session's. Its foreground is this
// process's group until the program has it.
func (w *watcher) attach(how uint32) error {
	if how == held.NoTerminal {
		return nil
	}
	if len(w.conn.files) != 2 {
		return unix.EINVAL
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.terminal, w.control = w.conn.files[0], w.conn.files[1]
	return unix.IoctlSetInt(w.terminal, unix.TIOCSCTTY, 0)
}

// heed does what whoever has the terminal asks. When they are gone, the service
// sees to the program.
func (w *watcher) heed(control int) {
	for {
		var b [1]byte
		n, err := unix.Read(control, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		switch b[0] {
		case held.AskForeground:
			w.resume(true)
		case held.AskBackground:
			w.resume(false)
		case held.AskSuspend:
			w.tell(unix.SIGTSTP)
		}
	}
}

// resume lets the program go on, with the terminal or without it.
func (w *watcher) resume(foreground bool) {
	w.mu.Lock()
	if foreground {
		w.give(w.front)
	} else {
		w.give(w.own)
	}
	w.mu.Unlock()
	w.tell(unix.SIGCONT)
}
