//go:build linux || darwin

package caller

import (
	"sync"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// console implements port.Console and port.Prompt.
type console struct {
	conn   *connection
	wake   wakePipe
	stop   stopper
	screen func() screen // looks once

	mu        sync.Mutex
	received  []int       // not carried for yet
	terminals []*terminal // the controlling one first; none if the command has no terminal of ours
	question  *question   // that is asked, or nil
}

var (
	_ port.Console = (*console)(nil)
	_ port.Prompt  = (*console)(nil)
)

// Screen implements port.Console.
func (c *console) Screen() port.Screen { return c.screen().port() }

// Receive implements port.Console. Those of a command that was never let go are
// given up.
func (c *console) Receive() {
	files := c.conn.takeFiles()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fd := range c.received {
		unix.Close(fd)
	}
	c.received = files
}

// Carry implements port.Console. Of the controlling terminal the master side
// and the connection to the command's helper have come, of the others their
// master sides.
func (c *console) Carry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := c.received
	c.received = nil
	if len(files) == 0 || c.terminals != nil {
		return
	}
	control := -1
	if len(files) > 1 {
		control = files[1]
	}
	c.terminals = append(c.terminals, c.screen().newTerminal(files[0], control, c.wake, c.stop))
	for i, master := range files[min(2, len(files)):] {
		c.terminals = append(c.terminals, c.screen().newApart(c.screen().apart(i), master, c.wake))
	}
	for _, t := range c.terminals {
		t.carry()
	}
}

// Over implements port.Console.
func (c *console) Over() bool {
	all := c.all()
	if len(all) == 0 {
		return false
	}
	select {
	case <-all[0].drained:
		return true
	default:
		return false
	}
}

// Drain implements port.Console.
func (c *console) Drain() {
	for _, t := range c.all() {
		t.drain(silence)
	}
}

// Restore implements port.Console.
func (c *console) Restore() {
	for _, t := range c.all() {
		t.giveBack()
	}
}

func (c *console) all() []*terminal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.terminals
}

// resize passes on that a window has another size.
func (c *console) resize() {
	for _, t := range c.all() {
		t.resize()
	}
}

// suspend stops the command, and this process with it, or this process alone
// while there is no command. It reports whether the service must stop it.
func (c *console) suspend() bool {
	if q := c.asking(); q != nil {
		q.leave()
		c.stop.self(c.stop.goesOn)
		q.comeBack()
		return false
	}
	all := c.all()
	return len(all) == 0 || !all[0].suspend()
}

// goOn does what is to be done when a shell lets this process go on. It reports
// whether the service must let the command go on.
func (c *console) goOn() bool {
	if q := c.asking(); q != nil {
		q.comeBack()
		return false
	}
	all := c.all()
	for _, t := range all {
		t.goOn()
	}
	return len(all) == 0 || all[0].control < 0
}

func (c *console) asking() *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.question
}
