//go:build unix

package darwin

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/darwin/held"
	"kpm/platform/darwin/launchgroup"
	"kpm/platform/darwin/tool"
)

// newChild starts a helper, by launchctl if it is to be in the session of windows,
// and hears from it who it is.
func (l *Launcher) newChild(windows core.UserID) (c *child, err error) {
	c = &child{launcher: l, done: make(chan struct{}), begun: make(chan held.Message, 1)}
	orders, theirOrders, err := pair()
	if err != nil {
		return nil, err
	}
	c.orders = os.NewFile(uintptr(orders), "held child")
	defer unix.Close(theirOrders)
	conn, theirConn, err := pair()
	if err != nil {
		c.orders.Close()
		return nil, err
	}
	c.conn = os.NewFile(uintptr(conn), "helper")
	defer unix.Close(theirConn)
	argv, path := []string{held.Name, held.Hold}, l.helper
	if windows != "" {
		argv = tool.InSession(string(windows), l.helper, held.Hold)
		path = argv[0]
	}
	null := l.null.Fd()
	c.started, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir: "/", Env: held.Environ(), Files: []uintptr{null, null, null, uintptr(theirOrders), uintptr(theirConn)},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		c.orders.Close()
		c.conn.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.meet(); err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// meet hears from the helper who it is, and believes the kernel. launchctl starts
// what it is told as its child (launchd 842, support/launchctl.c, asuser_cmd), or has
// become it.
func (c *child) meet() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	m, err := readMessage(c.conn)
	if err != nil || m.Kind != held.NoticeHelper {
		return fmt.Errorf("the helper does not say who it is; in a session, launchctl may have refused it: %w", errors.Join(err, errVanished))
	}
	helper, found := c.launcher.system.process(int(int32(m.Value)))
	if !found || helper.PID != c.started && helper.Parent != c.started || !helper.Is(0) || helper.Session != helper.PID {
		return fmt.Errorf("process %d is not the helper that process %d was to start", int32(m.Value), c.started)
	}
	c.id = core.ProcessID{PID: helper.PID, Start: helper.Start}
	c.group = launchgroup.Name(c.id, c.launcher.tree.boot, nil)
	return c.conn.SetReadDeadline(time.Time{})
}

// meetChild takes the helper's answer to the order to begin.
func (c *child) meetChild(m held.Message) error {
	if m.Kind == held.NoticeFailed {
		return fmt.Errorf("start the child, or take the controlling terminal: %w", unix.Errno(m.Value))
	}
	program, found := c.launcher.system.process(int(int32(m.Value)))
	if !found || program.Parent != c.id.PID || !program.Is(0) || program.Session != c.id.PID {
		return fmt.Errorf("process %d is not the child of helper %s", int32(m.Value), c.id)
	}
	c.program = core.ProcessID{PID: program.PID, Start: program.Start}
	return nil
}

// abandon ends a helper that nobody watches and that has begun nothing.
func (c *child) abandon() {
	c.orders.Close()
	c.conn.Close()
	unix.Kill(c.started, unix.SIGKILL) // not reaped yet: the number is its own
	c.reap()
}
