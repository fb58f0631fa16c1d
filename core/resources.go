package core

import (
	"errors"
	"syscall"
)

// ErrResources is wrapped by what a package reports because the machine, or
// this process, has run out of something. It says nothing about what was asked
// for: what could not be looked at is not "not there".
var ErrResources = NewError(Unavailable, "the machine is out of resources")

// resources says what is used up when a system call fails with an error.
var resources = []struct {
	err  error
	what string
}{
	{syscall.EMFILE, "the service has as many files open as it may"},
	{syscall.ENFILE, "the machine has as many files open as it can"},
	{syscall.EAGAIN, "the machine has as many processes as it may"},
	{syscall.ENOMEM, "the machine is out of memory"},
}

// OutOfResources reports whether err came about because something was used up.
// The same may work later.
func OutOfResources(err error) bool {
	return errors.Is(err, ErrResources) || ResourceOf(err) != ""
}

// ResourceOf says what was used up when err came about, "" if nothing was.
func ResourceOf(err error) string {
	for _, r := range resources {
		if errors.Is(err, r.err) {
			return r.what
		}
	}
	return ""
}

// ResourceFault words an error of which OutOfResources is true for a person.
func ResourceFault(err error) string {
	what := ResourceOf(err)
	if what == "" {
		what = ErrResources.Error()
	}
	return what + ": try again in a moment, and tell whoever runs the machine if it stays so"
}
