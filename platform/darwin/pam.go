//go:build unix

package darwin

import (
	"fmt"
	"os"
	"syscall"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/launchgroup"
	"kpm/platform/unix/pam"
	"kpm/platform/unix/pam/askpam"
)

// newPAM returns a PAM that starts the keeperpam which locate finds when something is
// asked, and which root alone can change.
func newPAM(on system, locate func() (string, error)) *askpam.PAM {
	tree := newTree(on)
	return askpam.New(func() (askpam.Child, error) { return startKeeperpam(tree, locate) }, pam.Files, pam.Check)
}

// keeperpam is one process and the service's end of its connection.
type keeperpam struct {
	tree    *Tree
	id      core.ProcessID
	conn    *os.File
	process *os.Process
}

var _ askpam.Child = (*keeperpam)(nil)

// startKeeperpam starts a process that leads a session of its own: by that what a
// module starts is found, and signals from a terminal are the service's.
func startKeeperpam(tree *Tree, locate func() (string, error)) (*keeperpam, error) {
	path, err := locate()
	if err != nil {
		return nil, err
	}
	if err := inheritNothing(); err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	conn, end := os.NewFile(uintptr(ours), pam.Name), os.NewFile(uintptr(theirs), "its end")
	defer end.Close()
	process, err := os.StartProcess(path, []string{pam.Name}, &os.ProcAttr{
		Dir: "/", Env: pam.Environ, Files: []*os.File{null, null, null, end}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", pam.Name, err)
	}
	// Nobody waits for it yet, so that the number is its own.
	found, there := tree.system.process(process.Pid)
	if !there { // nothing could end it later
		_ = process.Kill()
		_, _ = process.Wait()
		conn.Close()
		return nil, fmt.Errorf("start %s: process %d is not in the process table", pam.Name, process.Pid)
	}
	return &keeperpam{tree, core.ProcessID{PID: process.Pid, Start: found.Start}, conn, process}, nil
}

// Conn implements askpam.Child.
func (k *keeperpam) Conn() *os.File { return k.conn }

// Wait implements askpam.Child. It takes a thread: somebody is asked seldom.
func (k *keeperpam) Wait() { _, _ = k.process.Wait() } // how it ended, its last message says

// Kill implements askpam.Child. What has left the session and lost its parents is
// launchd's.
func (k *keeperpam) Kill() {
	_, _ = k.tree.KillGroups(port.Group{Root: k.id, Name: launchgroup.Name(k.id, k.tree.boot, nil)}) // one waits for the kernel; nothing can end it
}
