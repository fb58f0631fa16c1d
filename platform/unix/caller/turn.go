//go:build linux || darwin

package caller

import "golang.org/x/sys/unix"

// turn is whose turn it is at a terminal, among the keepersudo that a shell
// takes for one job: settings that two change at once are restored to what the
// other one set. It is a record lock on a file (newTurn), since the kernel gives
// that back whatever becomes of us. Where none can be locked, it is always ours.
type turn struct{ fd int }

// lock is the part of the file that stands for our job.
func (turn) lock(kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: int64(unix.Getpgrp()), Len: 1}
}

// take reports whether it is our turn, until give.
func (t turn) take() bool {
	err := unix.FcntlFlock(uintptr(t.fd), unix.F_SETLK, t.lock(unix.F_WRLCK))
	return err != unix.EAGAIN && err != unix.EACCES
}

func (t turn) give() { unix.FcntlFlock(uintptr(t.fd), unix.F_SETLK, t.lock(unix.F_UNLCK)) }

// taken reports whether it is another's turn.
func (t turn) taken() bool {
	lock := t.lock(unix.F_WRLCK)
	return unix.FcntlFlock(uintptr(t.fd), unix.F_GETLK, lock) == nil && lock.Type != unix.F_UNLCK
}
