//go:build windows

package caller

import (
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
)

// promptPause is how often a question that waits looks at whether the service has
// gone on, or it was cancelled.
const promptPause = 50 * time.Millisecond

// Ask implements port.Prompt. What was typed before is discarded, and what is
// typed when it is over.
func (c *console) Ask(q port.Question, timeout time.Duration, cancelled func() bool) (string, port.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open() {
		return "", port.Cancelled
	}
	var before uint32
	if windows.GetConsoleMode(c.in, &before) != nil {
		return "", port.Cancelled
	}
	// Keys as they are typed; Ctrl-C and Ctrl-Break as signals, which cancel.
	windows.SetConsoleMode(c.in, windows.ENABLE_PROCESSED_INPUT)
	windows.FlushConsoleInputBuffer(c.in)
	defer func() {
		windows.FlushConsoleInputBuffer(c.in)
		windows.SetConsoleMode(c.in, before)
	}()
	c.print(q.Text)
	shown := c.print
	if q.Secret {
		shown = func(string) {}
	}
	answer, outcome := c.line(time.Now().Add(timeout), cancelled, shown)
	c.print("\r\n")
	return answer, outcome
}

// Wake implements port.Prompt: a question looks by itself.
func (c *console) Wake() {}

// line reads one line, and has shown show it.
func (c *console) line(deadline time.Time, cancelled func() bool, shown func(string)) (string, port.Outcome) {
	var typed []uint16
	for {
		switch {
		case cancelled() || !time.Now().Before(deadline):
			return "", port.Cancelled
		case c.service.speaks():
			return "", port.Overtaken
		}
		event, err := windows.WaitForSingleObject(c.in, uint32(promptPause/time.Millisecond))
		if err != nil {
			return "", port.Cancelled
		}
		if event != windows.WAIT_OBJECT_0 {
			continue
		}
		key, ok, err := c.key()
		switch {
		case err != nil:
			return "", port.Cancelled
		case !ok:
		case key == '\r' || key == '\n':
			return string(utf16.Decode(typed)), port.Answered
		case key == '\b':
			if len(typed) > 0 {
				typed = typed[:len(typed)-1]
				shown("\b \b")
			}
		case key == 0x1b, key == 0x1a: // Escape, Ctrl-Z
			return "", port.Cancelled
		case key >= ' ' && len(typed) < maxTyped:
			typed = append(typed, key)
			shown(string(utf16.Decode(typed[len(typed)-1:])))
		}
	}
}

// maxTyped is the longest answer, in UTF-16 units.
const maxTyped = 4096

// keyEvent is INPUT_RECORD with a KEY_EVENT_RECORD in it (wincon.h).
type keyEvent struct {
	kind         uint16
	_            uint16
	down         int32
	repeat       uint16
	virtual      uint16
	scan         uint16
	char         uint16
	controlState uint32
}

const keyEventKind = 1

// key takes one event out of the console's input; ok is true for a key that stands
// for a character (learn.microsoft.com, "ReadConsoleInputW").
func (c *console) key() (char uint16, ok bool, err error) {
	var event keyEvent
	var n uint32
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("ReadConsoleInputW")
	if done, _, err := proc.Call(uintptr(c.in), uintptr(unsafe.Pointer(&event)), 1, uintptr(unsafe.Pointer(&n))); done == 0 {
		return 0, false, err
	}
	return event.char, n == 1 && event.kind == keyEventKind && event.down != 0 && event.char != 0, nil
}

// print writes text, which is printable, to the console.
func (c *console) print(text string) {
	wide := utf16.Encode([]rune(text))
	for len(wide) > 0 {
		var n uint32
		if windows.WriteConsole(c.out, &wide[0], uint32(len(wide)), &n, nil) != nil || n == 0 {
			return
		}
		wide = wide[n:]
	}
}
