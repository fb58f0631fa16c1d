//go:build linux

// Command keepersudo asks the service to run a command as another user and
// stands in for it at the caller's terminal.
//
// It has no authority: whoever tampers with it changes only what their own
// user asks for. Every elevation waits for it to start, so it links no net,
// fmt or JSON, and nothing that has to be found at run time.
package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

var version = "0.1.0-dev" // the linker sets it

// Exit statuses of keepersudo itself. The command's own are passed on, and 128
// plus the number of the signal that ended it.
const (
	exitRefused  = 1
	exitUsage    = 2
	exitUnusable = 126
	exitNotFound = 127
)

// failure is why keepersudo ends without having run the command.
type failure struct {
	status  int
	message string
}

func main() {
	// Attack: another process of the same user attaches to this one and takes
	// the master side of a root command's terminal.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	status, err := run(os.Args[1:])
	if err != nil {
		say(unix.Stderr, "keepersudo: "+printable(err.message)+"\n")
		status = err.status
	}
	os.Exit(status)
}

func run(args []string) (int, *failure) {
	opts, err := parse(args)
	if err != nil {
		return 0, err
	}
	if opts.text != "" {
		say(unix.Stdout, opts.text)
		return 0, nil
	}
	knock, err := newKnock(opts)
	if err != nil {
		return 0, err
	}
	conn, err := connect(opts.root)
	if err != nil {
		return 0, err
	}
	// A service that is full refuses and closes before it has read anything;
	// that is then still to be heard, and attend notices if nothing is.
	_ = conn.send(door.TypeRequest, knock.request.Encode(), knock.files...)
	knock.close()
	s := &session{conn: conn, nonInteractive: opts.nonInteractive}
	return s.attend()
}

// say writes all of text; where even that is impossible there is nobody to
// tell.
func say(fd int, text string) { writeAll(fd, []byte(text)) }

// printable replaces what could steer or deceive a terminal (CVE-2023-28486):
// the service has done so already, unless it is not the service.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e,
			r >= 0x2066 && r <= 0x2069, r == 0xfeff, r >= 0xe0000 && r <= 0xe007f:
			return '\ufffd'
		}
		return r
	}, s)
}
