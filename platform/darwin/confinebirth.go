//go:build unix

package darwin

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/darwin/confined"
)

// Users and groups of confined processes: each has one that no other process has.
// Attack: processes that share a user ("nobody", "_unknown") may signal and stop each
// other. Accounts of a Mac have small numbers, those that the directory service makes
// for Active Directory end at 2^31 (dsconfigad(8)), and "nobody" is the last but one
// of all.
const (
	firstConfined = 7 << 29
	confinedIDs   = 1 << 22
)

// create starts a process, which has the connection and nothing else.
func (c *Confiner) create() (*confinedProcess, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path, err := c.open()
	if err != nil {
		return nil, err
	}
	user, err := c.freeUser()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	conn, end := os.NewFile(uintptr(ours), "confined process"), os.NewFile(uintptr(theirs), "its end")
	defer end.Close()
	// A group list of its own: setgroups(2) of macOS makes an empty one that of group
	// 0. In a process group of its own, for signals from a terminal are the service's.
	process, err := os.StartProcess(path, []string{confined.Name}, &os.ProcAttr{
		Dir: "/", Env: confined.Environ, Files: []*os.File{c.null, c.null, c.null, end},
		Sys: &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: user, Gid: user, Groups: []uint32{user}}},
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("as user %d: %w", user, err)
	}
	p := &confinedProcess{confiner: c, id: core.ProcessID{PID: process.Pid}, path: path, user: user, conn: conn, process: process}
	c.alive[p] = true
	c.watchers.Add(1) // Start watches it
	return p, nil
}

// open finds the program, and sees at the first start that processes inherit nothing.
// c.mu is held.
func (c *Confiner) open() (path string, err error) {
	if c.closed {
		return "", errConfinerClosed
	}
	if c.null == nil {
		if err := inheritNothing(); err != nil {
			return "", err
		}
		if c.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return "", err
		}
	}
	return c.locate()
}

// watch reaps the process when it ends. It takes a thread: there are about a dozen
// readers at most.
func (c *Confiner) watch(p *confinedProcess) {
	defer c.watchers.Done()
	_, _ = p.process.Wait() // how it ended is nobody's concern
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, p)
}

// freeUser draws a user that no process of this machine has. c.mu is held.
func (c *Confiner) freeUser() (uint32, error) {
	table, err := c.confining.processes()
	if err != nil {
		return 0, err
	}
	taken := map[uint32]bool{}
	for p := range c.alive { // one may just have begun
		taken[p.user] = true
	}
	for _, p := range table {
		taken[p.User], taken[p.RealUser], taken[p.SavedUser] = true, true, true
	}
	for {
		if user := firstConfined + rand.Uint32N(confinedIDs); !taken[user] {
			return user, nil
		}
	}
}

// inheritNothing marks what this process has open as not to be inherited. Attack:
// what the service's own parent left open goes on to who reads foreign files. Package
// os opens nothing that is inherited.
func inheritNothing() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return fmt.Errorf("own descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
