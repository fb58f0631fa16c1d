//go:build windows

package pipe

import (
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/windows"
)

// backlog is how many instances of a pipe wait for clients: so many can connect
// at once before one finds the pipe busy and tries again.
const backlog = 16

// bufferSize is what either direction of a connection holds, in bytes.
const bufferSize = 64 << 10

// Listener accepts clients. At every moment some instance of the pipe is there,
// so that its name stays ours.
type Listener struct {
	path, name string
	stop       windows.Handle // an event, set by Close
	first      bool           // no instance was made yet

	accepting sync.Mutex // held by Accept, and by Close when Accept is over
	waiting   []*instance
	closed    bool
	once      sync.Once
}

var _ net.Listener = (*Listener)(nil)

// instance is one that waits for its client.
type instance struct {
	pipe      windows.Handle
	connected windows.Overlapped // its event is set when a client is there
}

// Listen makes a pipe and writes its name to the file at path, whose directory
// the caller has checked: whoever can replace that file says where clients go.
func Listen(path string) (*Listener, error) {
	l := &Listener{path: path, name: newName(), first: true}
	var err error
	// learn.microsoft.com, "CreateEventW": set once, by hand.
	if l.stop, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	if err = l.fill(); err == nil {
		err = l.publish()
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	return l, nil
}

// publish replaces the file at path: a client reads the old name or the new one.
func (l *Listener) publish() error {
	fresh := l.path + ".new"
	if err := os.WriteFile(fresh, []byte(l.name+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, l.path)
}

// fill has backlog instances wait. It succeeds if at least one does.
func (l *Listener) fill() error {
	for len(l.waiting) < backlog {
		i, err := l.wait()
		if err != nil {
			if len(l.waiting) > 0 {
				return nil
			}
			return err
		}
		l.first = false
		l.waiting = append(l.waiting, i)
	}
	return nil
}

// wait makes an instance that waits for a client (learn.microsoft.com,
// "CreateNamedPipeW", "ConnectNamedPipe").
//
// Attack: somebody else has made a pipe of the name before, and this one would
// be an instance of theirs; a client from another machine.
func (l *Listener) wait() (*instance, error) {
	wide, err := windows.UTF16PtrFromString(l.name)
	if err != nil {
		return nil, err
	}
	security, err := attributes(Security)
	if err != nil {
		return nil, err
	}
	flags := uint32(windows.PIPE_ACCESS_DUPLEX | windows.FILE_FLAG_OVERLAPPED)
	if l.first {
		flags |= windows.FILE_FLAG_FIRST_PIPE_INSTANCE
	}
	const mode = windows.PIPE_TYPE_BYTE | windows.PIPE_READMODE_BYTE | windows.PIPE_WAIT | windows.PIPE_REJECT_REMOTE_CLIENTS
	for {
		i := &instance{}
		i.pipe, err = windows.CreateNamedPipe(wide, flags, mode, windows.PIPE_UNLIMITED_INSTANCES, bufferSize, bufferSize, 0, security)
		if err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		if i.connected.HEvent, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
			windows.CloseHandle(i.pipe)
			return nil, fmt.Errorf("make a pipe: event: %w", err)
		}
		switch err = windows.ConnectNamedPipe(i.pipe, &i.connected); err {
		case windows.ERROR_IO_PENDING:
			return i, nil
		case nil, windows.ERROR_PIPE_CONNECTED:
			windows.SetEvent(i.connected.HEvent)
			return i, nil
		}
		i.close()
		if err != windows.ERROR_NO_DATA { // a client that has gone already
			return nil, fmt.Errorf("wait at a pipe: %w", err)
		}
		flags &^= windows.FILE_FLAG_FIRST_PIPE_INSTANCE
	}
}

func (i *instance) close() {
	windows.CloseHandle(i.pipe)
	windows.CloseHandle(i.connected.HEvent)
}

// Accept implements net.Listener. The wait occupies a thread. After Close the
// error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptPipe()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptPipe is Accept.
func (l *Listener) AcceptPipe() (*Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	for {
		if err := l.fill(); err != nil {
			return nil, fmt.Errorf("accept: %w", err)
		}
		events := []windows.Handle{l.stop}
		for _, i := range l.waiting {
			events = append(events, i.connected.HEvent)
		}
		// learn.microsoft.com, "WaitForMultipleObjects": at most 64 of them.
		which, err := windows.WaitForMultipleObjects(events, false, windows.INFINITE)
		if err != nil {
			return nil, fmt.Errorf("accept: %w", err)
		}
		if which == windows.WAIT_OBJECT_0 {
			return nil, net.ErrClosed
		}
		at := int(which-windows.WAIT_OBJECT_0) - 1
		i := l.waiting[at]
		l.waiting = append(l.waiting[:at], l.waiting[at+1:]...)
		var n uint32
		if err := windows.GetOverlappedResult(i.pipe, &i.connected, &n, false); err != nil && err != windows.ERROR_IO_INCOMPLETE {
			i.close() // the client has gone
			continue
		}
		windows.CloseHandle(i.connected.HEvent)
		return newConn(i.pipe, l.name), nil
	}
}

// Close implements net.Listener. Connections stay. It may be called again.
func (l *Listener) Close() (err error) {
	l.once.Do(func() {
		windows.SetEvent(l.stop)
		l.accepting.Lock()
		defer l.accepting.Unlock()
		l.closed = true
		windows.CloseHandle(l.stop)
		for _, i := range l.waiting {
			// The system writes into the structure until the wait is over.
			windows.CancelIoEx(i.pipe, &i.connected)
			var n uint32
			windows.GetOverlappedResult(i.pipe, &i.connected, &n, true)
			i.close()
		}
		// The service that comes next has another name; nobody waits for ours.
		if name, readErr := readAddress(l.path); readErr == nil && name == l.name {
			err = os.Remove(l.path)
		}
	})
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return address(l.name) }
