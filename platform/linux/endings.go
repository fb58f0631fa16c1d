//go:build linux

package linux

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/held"
)

// endings is a connection of all helpers to the service, by which each tells how its
// program has ended before it writes that down and ends itself: whoever waits need not
// wait for that too. What is not heard is seen when the helper has ended.
type endings struct {
	ours   *os.File
	theirs int // given to each seed
}

func newEndings() (endings, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return endings{}, fmt.Errorf("connection to helpers: %w", err)
	}
	return endings{os.NewFile(uintptr(pair[0]), "endings"), pair[1]}, nil
}

func (e endings) close() {
	e.ours.Close()
	unix.Close(e.theirs)
}

// listen takes what helpers tell until the connection is closed.
func (l *Launcher) listen() {
	var message [held.ToldSize + 1]byte
	for {
		n, err := l.endings.ours.Read(message[:])
		if err != nil {
			return
		}
		if name, status, ok := held.DecodeTold(message[:n]); ok {
			l.tell(name, exitStatus(status))
		}
	}
}

// tell notes how the program of the helper with this name has ended. A helper that is
// not there any more has been waited for.
func (l *Launcher) tell(name string, end core.ExitStatus) {
	number, _, _ := strings.Cut(name, "-")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.children[pid]
	if c == nil || endName(c.id) != name {
		return
	}
	select {
	case <-c.told: // it says so once
	default:
		c.end = end
		close(c.told)
	}
}

func exitStatus(status syscall.WaitStatus) core.ExitStatus {
	if status.Signaled() {
		return core.ExitStatus{Signal: int(status.Signal())}
	}
	return core.ExitStatus{Code: status.ExitStatus()}
}
