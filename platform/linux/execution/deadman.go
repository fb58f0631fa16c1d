//go:build linux

package execution

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timer is a timer of the kernel's for this process (timer_create(2)) whose signal
// is SIGKILL. Attack, or accident: this process is stopped (SIGSTOP), its control
// group is frozen, or a lock of its own holds it up, while every program of the
// machine waits for it. A watchdog that is a process can be stopped as well; the
// kernel's timers go on, and SIGKILL ends what is stopped or frozen.
type timer struct {
	mu   sync.Mutex
	made bool
	id   int32
}

// sigevent is struct sigevent (sigevent(3type)) on 64-bit systems.
type sigevent struct {
	value  uint64
	signal int32
	notify int32 // 0 is SIGEV_SIGNAL
	_      [48]byte
}

// Alive implements port.Executions.
func (g *Group) Alive(within time.Duration) error {
	t := &g.dead
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.made {
		event := sigevent{signal: int32(unix.SIGKILL)}
		// BOOTTIME would count the machine's sleep, in which nothing can work.
		if _, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&t.id))); errno != 0 {
			return fmt.Errorf("timer_create: %w", errno)
		}
		t.made = true
	}
	return t.set(within)
}

// stop has the timer end nothing.
func (t *timer) stop() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.made {
		return nil
	}
	return t.set(0)
}

func (t *timer) set(within time.Duration) error {
	setting := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(within))}
	if _, _, errno := unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(t.id), 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("timer_settime: %w", errno)
	}
	return nil
}
