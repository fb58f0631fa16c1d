//go:build windows

package caller

import (
	"os"
	"sync"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
	"kpm/platform/windows/held"
)

// console implements port.Console and port.Prompt with the console that this
// process is attached to, which the standard streams need not be.
type console struct {
	service *connection

	mu      sync.Mutex
	in, out windows.Handle // 0: not opened, or there is none
	before  *modes         // of the console, while a command has it
	shown   chan struct{}  // closed when all output was written; nil if there is none
	given   []uint64       // of a command's console, which is not carried for yet
}

var (
	_ port.Console = (*console)(nil)
	_ port.Prompt  = (*console)(nil)
)

// modes are what Carry changes.
type modes struct {
	in, out     uint32
	inCP, outCP uint32
}

// utf8 is the code page of what a pseudo console reads and writes.
const utf8 = 65001

// open opens the console, once (learn.microsoft.com, "Console Handles"). It
// reports whether there is one. c.mu is held.
func (c *console) open() bool {
	if c.in != 0 {
		return true
	}
	const access, share = windows.GENERIC_READ | windows.GENERIC_WRITE, windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE
	in, err := open("CONIN$", access, share)
	if err != nil {
		return false
	}
	out, err := open("CONOUT$", access, share)
	if err != nil {
		windows.CloseHandle(windows.Handle(in))
		return false
	}
	c.in, c.out = windows.Handle(in), windows.Handle(out)
	return true
}

// Screen implements port.Console. A command gets a pseudo console only where one
// of its streams would be the caller's: what a pseudo console writes begins with a
// cleared screen, which nobody wants beside pipes.
func (c *console) Screen() port.Screen {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows, columns := c.size()
	return port.Screen{Rows: rows, Columns: columns}
}

// size is the size of the console's window in characters, 0 without a console
// (learn.microsoft.com, "GetConsoleScreenBufferInfo"). c.mu is held.
func (c *console) size() (rows, columns uint16) {
	if !c.open() {
		return 0, 0
	}
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(c.out, &info) != nil {
		return 0, 0
	}
	return uint16(info.Window.Bottom - info.Window.Top + 1), uint16(info.Window.Right - info.Window.Left + 1)
}

// Receive implements port.Console. Those of a command that was never let go are
// given up.
func (c *console) Receive() {
	given := c.service.take()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveUp()
	c.given = given
}

// giveUp closes what was received and is not carried for. c.mu is held.
func (c *console) giveUp() {
	for _, handle := range c.given {
		windows.CloseHandle(windows.Handle(handle))
	}
	c.given = nil
}

// Carry implements port.Console. Three handles come with a terminal: what is
// typed into, what is shown, and what takes sizes.
func (c *console) Carry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.given) != 3 || c.shown != nil {
		c.giveUp()
		return
	}
	typed, shown, sized := os.NewFile(uintptr(c.given[0]), "typed"), os.NewFile(uintptr(c.given[1]), "shown"), os.NewFile(uintptr(c.given[2]), "sized")
	c.given = nil
	there := c.open()
	c.shown = make(chan struct{})
	go c.show(shown)
	if !there {
		return // the program's input ends when this process does
	}
	c.raw()
	go c.typing(typed)
	go c.resize(sized)
}

// raw has the console pass on each key as it is typed, Ctrl-C among them, and what
// is written as it is (learn.microsoft.com, "SetConsoleMode"). c.mu is held.
func (c *console) raw() {
	m := &modes{}
	if windows.GetConsoleMode(c.in, &m.in) != nil || windows.GetConsoleMode(c.out, &m.out) != nil {
		return
	}
	m.inCP, _ = windows.GetConsoleCP()
	m.outCP, _ = windows.GetConsoleOutputCP()
	c.before = m
	windows.SetConsoleMode(c.in, windows.ENABLE_VIRTUAL_TERMINAL_INPUT)
	windows.SetConsoleMode(c.out, windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_WRAP_AT_EOL_OUTPUT|
		windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING|windows.DISABLE_NEWLINE_AUTO_RETURN)
	windows.SetConsoleOutputCP(utf8)
}

// show writes what the command's console shows, until nobody writes there any
// more.
func (c *console) show(shown *os.File) {
	defer close(c.shown)
	defer shown.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := shown.Read(buffer)
		if n > 0 {
			c.write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// write writes to the console, or to standard output where there is none.
func (c *console) write(p []byte) {
	if c.out == 0 {
		os.Stdout.Write(p)
		return
	}
	for len(p) > 0 {
		var n uint32
		if windows.WriteFile(c.out, p, &n, nil) != nil || n == 0 {
			return
		}
		p = p[n:]
	}
}

// typing sends what is typed to the command. Half a surrogate pair waits for the
// other one.
func (c *console) typing(typed *os.File) {
	defer typed.Close()
	buffer := make([]uint16, 1024)
	var half uint16
	for {
		var n uint32
		from := 0
		if half != 0 {
			buffer[0], from = half, 1
		}
		if windows.ReadConsole(c.in, &buffer[from], uint32(len(buffer)-from), &n, nil) != nil || n == 0 {
			return
		}
		var text string
		text, half = whole(buffer[:from+int(n)])
		if _, err := typed.Write([]byte(text)); err != nil {
			return
		}
	}
}

// whole returns what was typed, and the first half of a surrogate pair that the other
// has not come to yet, or 0.
func whole(units []uint16) (text string, half uint16) {
	if last := units[len(units)-1]; last >= 0xd800 && last < 0xdc00 {
		half, units = last, units[:len(units)-1]
	}
	return string(utf16.Decode(units)), half
}

// sizePause is how often the window is looked at. A console tells of a new size
// only among what is typed, which then could not be read as it is.
const sizePause = 250 * time.Millisecond

// resize tells the command's console each new size, until it has gone.
func (c *console) resize(sized *os.File) {
	defer sized.Close()
	c.mu.Lock()
	rows, columns := c.size()
	c.mu.Unlock()
	for {
		select {
		case <-c.shown:
			return
		case <-time.After(sizePause):
		}
		c.mu.Lock()
		r, l := c.size()
		c.mu.Unlock()
		if r == 0 || r == rows && l == columns {
			continue
		}
		rows, columns = r, l
		if _, err := sized.Write(held.EncodeSize(rows, columns)); err != nil {
			return
		}
	}
}

// Over implements port.Console.
func (c *console) Over() bool {
	c.mu.Lock()
	shown := c.shown
	c.mu.Unlock()
	if shown == nil {
		return false
	}
	select {
	case <-shown:
		return true
	default:
		return false
	}
}

// Drain implements port.Console.
func (c *console) Drain() {
	c.mu.Lock()
	shown := c.shown
	c.mu.Unlock()
	if shown != nil {
		<-shown
	}
}

// Restore implements port.Console.
func (c *console) Restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before == nil {
		return
	}
	windows.SetConsoleMode(c.in, c.before.in)
	windows.SetConsoleMode(c.out, c.before.out)
	windows.SetConsoleOutputCP(c.before.outCP)
	c.before = nil
}
