//go:build windows

package windows

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/pipe"
)

// errUnknownClient is wrapped when it cannot be said who is at the other end.
var errUnknownClient = errors.New("the client cannot be identified")

// pipeConn is a connection of a client to one of our pipes, and who that is,
// found out once.
type pipeConn struct {
	*pipe.Conn
	accepted windows.Filetime
	client   func() (*client, error)
}

func accepted(c *pipe.Conn) *pipeConn {
	p := &pipeConn{Conn: c}
	windows.GetSystemTimePreciseAsFileTime(&p.accepted)
	p.client = sync.OnceValues(p.identify)
	return p
}

// Close implements net.Conn.
func (p *pipeConn) Close() error {
	err := p.Conn.Close()
	if c, clientErr := p.client(); clientErr == nil {
		c.close()
	}
	return err
}

// client is the process that has opened the other end of a pipe. As long as its
// handle is open, no other process has its pid.
type client struct {
	id     core.ProcessID
	holder holder
	same   bool // the process is whom it was opened in the name of

	mu      sync.RWMutex
	process windows.Handle // 0 after close
}

// use calls f with the client's process.
//
// Attack: while the connection is closed, the number of its handle becomes that of
// another process's, and handles are taken from there, or put there.
func (c *client) use(f func(process windows.Handle) error) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.process == 0 {
		return net.ErrClosed
	}
	return f(c.process)
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process != 0 {
		windows.CloseHandle(c.process)
		c.process = 0
	}
}

// identify finds out who the client is (learn.microsoft.com,
// "GetNamedPipeClientProcessId", "ImpersonateNamedPipeClient").
//
// Attack: a process connects, hands the connection to another one and ends; its
// pid is somebody else's by now, in whose name it then asks. So the process must
// be older than the connection, must be alive, the pipe must say the same pid
// once it cannot be reused any more, and the process must have the user and the
// logon that the system has noted when the pipe was opened.
func (p *pipeConn) identify() (*client, error) {
	c := &client{}
	err := p.Control(func(handle windows.Handle) error {
		const access = processQuery | windows.PROCESS_DUP_HANDLE | windows.SYNCHRONIZE
		pid, err := clientPid(handle)
		if err != nil {
			return err
		}
		if c.process, err = windows.OpenProcess(access, false, pid); err != nil {
			return fmt.Errorf("open process %d: %w", pid, err)
		}
		c.id.PID = int(pid)
		if again, err := clientPid(handle); err != nil || again != pid {
			return errors.Join(fmt.Errorf("process %d has gone", pid), err)
		}
		noted, err := impersonated(handle)
		if err != nil {
			return err
		}
		return c.settle(noted, p.accepted)
	})
	if err != nil {
		c.close()
		return nil, fmt.Errorf("%w: %w", errUnknownClient, err)
	}
	return c, nil
}

func clientPid(handle windows.Handle) (uint32, error) {
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(handle, &pid); err != nil {
		return 0, fmt.Errorf("pid of the client: %w", err)
	}
	return pid, nil
}

// settle compares the process with what was noted.
func (c *client) settle(noted holder, connected windows.Filetime) error {
	var err error
	if c.id.Start, err = startStamp(c.process); err != nil {
		return err
	}
	if at := uint64(connected.HighDateTime)<<32 | uint64(connected.LowDateTime); c.id.Start > at {
		return fmt.Errorf("process %s is younger than the connection", c.id)
	}
	if state, err := windows.WaitForSingleObject(c.process, 0); err != nil || state != uint32(windows.WAIT_TIMEOUT) {
		return errors.Join(fmt.Errorf("process %s has ended", c.id), err)
	}
	if c.holder, err = processHolder(c.process); err != nil {
		return err
	}
	c.same = noted.user == c.holder.user && noted.logon == c.holder.logon
	if noted.confined != "" {
		c.holder.confined = noted.confined
	}
	c.holder.administrator = c.holder.administrator && noted.administrator
	return nil
}

// processHolder is whose a process is (learn.microsoft.com, "OpenProcessToken").
func processHolder(process windows.Handle) (holder, error) {
	var t windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &t); err != nil {
		return holder{}, fmt.Errorf("token of a process: %w", err)
	}
	defer t.Close()
	return holderOf(t)
}

// impersonated is in whose name a pipe was opened, as the system has noted it
// then. Only the question is asked in that name: the thread is back before
// anything else is done.
//
// Attack: a client that lets nobody see who it is (SECURITY_ANONYMOUS), or lets it
// change (SECURITY_CONTEXT_TRACKING). Both make this fail.
func impersonated(handle windows.Handle) (holder, error) {
	runtime.LockOSThread()
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateNamedPipeClient")
	if ok, _, err := proc.Call(uintptr(handle)); ok == 0 {
		runtime.UnlockOSThread()
		return holder{}, fmt.Errorf("ask in whose name: %w", err)
	}
	var t windows.Token
	err := windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &t)
	if revertErr := windows.RevertToSelf(); revertErr != nil {
		// This thread acts in the name of somebody who may have chosen so.
		panic(fmt.Sprintf("windows: a thread cannot be itself again: %v", revertErr))
	}
	runtime.UnlockOSThread()
	if err != nil {
		return holder{}, fmt.Errorf("in whose name: %w", err)
	}
	defer t.Close()
	return holderOf(t)
}

// peer is the client as the service knows it.
func (c *client) peer() core.Peer {
	p := c.holder.peerOf(c.id)
	p.SameIdentity = c.same
	return p
}

// dialTime is how long a pipe without a free instance is waited at.
const dialTime = 10 * time.Second
