//go:build linux || darwin

package caller

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// hungUp is called when the caller's terminal is gone. A job in its foreground
// ends: the service sees the caller go and ends the command. One that was left
// in the background, or was started to ignore hangups (nohup), goes on, as it
// would without us: its output goes nowhere, and what it reads has ended.
func (t *terminal) hungUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.front.Load() && !signal.Ignored(unix.SIGHUP) {
		os.Exit(exitSignal + int(unix.SIGHUP))
	}
	t.lost = true
	t.endInput()
}

// endInput has a command that reads its terminal find the end. t.mu is held.
func (t *terminal) endInput() {
	if settings, err := unix.IoctlGetTermios(t.master, getMode); err == nil {
		_ = writeAll(t.master, []byte{settings.Cc[unix.VEOF]})
	}
}

// asWritten returns what to write to a terminal so that it shows output, which
// has been through another one: where the terminal begins new lines as that one
// does (we have not made it raw: the command, or we, are in the background, or
// standard input is something else), each begins once.
func asWritten(terminal int, output []byte) []byte {
	settings, err := unix.IoctlGetTermios(terminal, getMode)
	if err != nil || settings.Oflag&unix.OPOST == 0 || settings.Oflag&unix.ONLCR == 0 {
		return output
	}
	kept := output[:0]
	for i, b := range output {
		if b != '\r' || i+1 == len(output) || output[i+1] != '\n' {
			kept = append(kept, b)
		}
	}
	return kept
}
