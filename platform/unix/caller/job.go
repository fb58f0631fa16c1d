//go:build linux || darwin

package caller

import (
	"time"

	"golang.org/x/sys/unix"
)

// noteTime is how long the threads, or the runtime, may take to note a signal that they
// have been given.
const noteTime = time.Millisecond

// heardTime bounds how long is waited until a signal that has been noted is taken, which
// is looked at every heardAgain.
const (
	heardTime  = 100 * time.Millisecond
	heardAgain = time.Millisecond
)

// stopped does what a shell expects of a job whose command was stopped by sig.
func (t *terminal) stopped(sig unix.Signal) {
	if (sig == unix.SIGTTIN || sig == unix.SIGTTOU) && t.lendKeys() {
		return
	}
	suspended, continued := t.stopping(sig)
	t.drain(pause)
	t.lend()
	// A shell may let us go on before we have stopped, and says it once.
	letGoOn := func() bool {
		t.stop.heard()
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.continued != continued
	}
	if !letGoOn() {
		t.stop.job(letGoOn)
	}
	// Here a shell has let us go on, or nobody could have stopped us. Then a
	// command that wanted to wait goes on; one that was told to, or wants a
	// terminal that is not ours, waits for SIGCONT.
	if sig == unix.SIGTSTP || sig != unix.SIGSTOP && t.foreground() {
		t.goOnUnless(suspended)
	}
}

// stopping is how often the command was to be stopped by now, and how often it was to go on
// when the stop by sig was asked for: SIGCONT may be taken before the helper's word is.
func (t *terminal) stopping(sig unix.Signal) (suspended, continued int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	continued = t.continued
	if sig == unix.SIGTSTP && time.Since(t.stopAsked.at) < heardTime {
		continued = t.stopAsked.continued
	}
	t.stopAsked.at = time.Time{} // the next stop may be a key's, at the command's own terminal
	return t.suspended, continued
}

// goOnUnless is goOn, unless the command was to be stopped again since then: what
// comes late must not undo it.
func (t *terminal) goOnUnless(since int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.suspended == since {
		t.goOnNow()
	}
}

// lendKeys has the terminal given to a command that has asked for it, as soon
// as it is our turn. It reports false if we do not have it to give.
func (t *terminal) lendKeys() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.told = true, 0
	if t.lost {
		t.ask(askForeground)
		t.endInput()
		return true
	}
	t.wake.wake()
	return !t.over && t.foreground()
}

// goOn lets the command go on where a shell has put us, and takes the terminal
// again if that is the foreground.
func (t *terminal) goOn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.continued++
	t.goOnNow()
}

// goOnNow is goOn; t.mu is held.
func (t *terminal) goOnNow() {
	t.told = 0
	if t.over {
		return
	}
	t.resize()
	switch {
	case !t.foreground() || t.way == borrowed && !t.asked:
		t.ask(askBackground)
	case t.way == lines:
		t.ask(askForeground)
	default:
		if t.before != nil {
			// A shell that stopped us the hard way has set it as it likes.
			unix.IoctlSetTermios(t.in, setMode, raw(*t.before))
		}
		if t.makeRaw() {
			t.ask(askForeground)
		} else {
			t.ask(askBackground)
		}
	}
	t.wake.wake()
}

// ask asks the command's helper, once. t.mu is held.
func (t *terminal) ask(what byte) {
	if t.control >= 0 && t.told != what {
		unix.Write(t.control, []byte{what})
		t.told = what
	}
}
