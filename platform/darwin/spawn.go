//go:build darwin

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
	"kpm/platform/darwin/tool"
)

// newChild starts a helper, by launchctl if it is to be in the session of windows,
// and hears from it who it and its child are.
func (l *Launcher) newChild(windows core.UserID) (c *child, err error) {
	c = &child{launcher: l, done: make(chan struct{}), attached: make(chan unix.Errno, 1)}
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

// meet hears from the helper who it and its child are, and believes the kernel.
// launchctl starts what it is told as its child (launchd 842, support/launchctl.c,
// asuser_cmd), or has become it.
func (c *child) meet() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	var pids [2]int
	for i, kind := range []held.Kind{held.NoticeHelper, held.NoticeChild} {
		m, err := readMessage(c.conn)
		if err != nil || m.Kind != kind {
			return fmt.Errorf("the helper does not say who it is; in a session, launchctl may have refused it: %w", errors.Join(err, errVanished))
		}
		pids[i] = int(int32(m.Value))
	}
	helper, found := processOf(pids[0])
	if !found || helper.PID != c.started && helper.Parent != c.started || !helper.Is(0) || helper.Session != helper.PID {
		return fmt.Errorf("process %d is not the helper that process %d was to start", pids[0], c.started)
	}
	program, found := processOf(pids[1])
	if !found || program.Parent != helper.PID || !program.Is(0) || program.Session != helper.PID {
		return fmt.Errorf("process %d is not the child of helper %d", pids[1], pids[0])
	}
	c.id = core.ProcessID{PID: helper.PID, Start: helper.Start}
	c.program = core.ProcessID{PID: program.PID, Start: program.Start}
	return c.conn.SetReadDeadline(time.Time{})
}

// abandon ends a helper that nobody watches. Its child ends by the end of its
// orders, and it with its child.
func (c *child) abandon() {
	c.orders.Close()
	c.conn.Close()
	unix.Kill(c.started, unix.SIGKILL) // not reaped yet: the number is its own
	c.reap()
}
