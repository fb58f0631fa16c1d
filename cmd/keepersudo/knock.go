//go:build linux

package main

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// knock is a request and the descriptors that travel with it.
type knock struct {
	request door.Request
	files   []int // working directory, 0, 1, 2, and the program if it was a path
}

// newKnock opens what the command line names as the caller, who may not lend
// the service's eyes to see what they cannot.
func newKnock(o *options) (*knock, *failure) {
	command := o.command[0]
	k := &knock{request: door.Request{
		HasExecutable: strings.IndexByte(command, '/') >= 0, NonInteractive: o.nonInteractive,
		Command: command, TargetUser: o.user, Argv: o.command, Env: offered(syscall.Environ()),
	}}
	k.request.Rows, k.request.Columns = windowSize()
	dir, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &failure{exitRefused, "the working directory cannot be opened: " + err.Error() + "; go to another one"}
	}
	k.files = []int{dir, unix.Stdin, unix.Stdout, unix.Stderr}
	if k.request.HasExecutable {
		program, err := unix.Open(command, unix.O_PATH|unix.O_CLOEXEC, 0)
		switch {
		case err == unix.ENOENT || err == unix.ENOTDIR:
			return nil, &failure{exitNotFound, command + ": no such file"}
		case err != nil:
			return nil, &failure{exitUnusable, command + ": " + err.Error()}
		}
		k.files = append(k.files, program)
	}
	if size := len(k.request.Encode()); size > door.MaxFrame {
		return nil, &failure{exitUsage, "the command line is too long: " + strconv.Itoa(size) +
			" bytes, at most " + strconv.Itoa(door.MaxFrame) + " are possible"}
	}
	return k, nil
}

// close closes what only the service needs.
func (k *knock) close() {
	unix.Close(k.files[0])
	if k.request.HasExecutable {
		unix.Close(k.files[4])
	}
}

// offered returns the variables that the service may keep (docs/settings.md,
// "Environment of elevated commands"). It looks at the values itself.
func offered(environ []string) []string {
	kept := []string{}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR":
		default:
			if !strings.HasPrefix(name, "LC_") {
				continue
			}
		}
		kept = append(kept, variable)
	}
	return kept
}

// windowSize is that of the first of 0 to 2 that is a terminal, or 0, 0.
func windowSize() (rows, columns uint16) {
	for fd := range 3 {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			return size.Row, size.Col
		}
	}
	return 0, 0
}
