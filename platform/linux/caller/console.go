//go:build linux

package caller

import (
	"sync"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// console implements port.Console and port.Prompt.
type console struct {
	conn *connection
	wake wakePipe

	mu       sync.Mutex
	terminal *terminal // nil if the command has no terminal of ours
}

var (
	_ port.Console = (*console)(nil)
	_ port.Prompt  = (*console)(nil)
)

// Size implements port.Console. It is that of the first of 0 to 2 that is a
// terminal.
func (*console) Size() (rows, columns uint16) {
	for fd := range 3 {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			return size.Row, size.Col
		}
	}
	return 0, 0
}

// Carry implements port.Console.
func (c *console) Carry() {
	master := c.conn.takeFile()
	c.mu.Lock()
	defer c.mu.Unlock()
	if master >= 0 && c.terminal == nil {
		c.terminal = newTerminal(master, c.wake)
		c.terminal.carry()
	}
}

// Drain implements port.Console.
func (c *console) Drain() { c.current().drain() }

// Restore implements port.Console.
func (c *console) Restore() { c.current().giveBack() }

// current returns the terminal, or nil.
func (c *console) current() *terminal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.terminal
}
