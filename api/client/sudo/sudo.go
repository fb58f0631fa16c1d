// Package sudo is keepersudo: it asks the service to run a command as another
// user and stands in for it at the caller's terminal.
//
// It has no authority: whoever tampers with it changes only what their own
// user asks for. Every elevation waits for it to start, so it links no net,
// fmt or JSON, and nothing that has to be found at run time. What it needs of
// the operating system comes by the ports of core/port/caller.
package sudo

import (
	"io"
	"os"
	"strings"

	"kpm/core/port/caller"
)

// Exit statuses of keepersudo itself. The command's own are passed on, and 128
// plus the number of the signal that ended it.
const (
	exitRefused  = 1
	exitUsage    = 2
	exitPending  = 75 // EX_TEMPFAIL of sysexits.h: the same will do later
	exitUnusable = 126
	exitNotFound = 127

	exitSignal = 128 // plus its number
)

// failure is why keepersudo ends without having run the command.
type failure struct {
	status  int
	message string
}

// Main runs the command line args and returns the exit status. It ends the
// process itself where a signal ought to end it.
func Main(args []string, version string, host caller.Host) int {
	status, err := run(args, version, host)
	if err != nil {
		say(host.Stderr, "keepersudo: "+printable(err.message)+"\n")
		return err.status
	}
	return status
}

func run(args []string, version string, host caller.Host) (int, *failure) {
	opts, err := parse(args)
	if err != nil {
		return 0, err
	}
	switch {
	case opts.help:
		say(host.Stdout, usage(host.DefaultRoot))
		return 0, nil
	case opts.version:
		say(host.Stdout, "keepersudo "+version+"\n")
		return 0, nil
	case opts.edit:
		return 0, edit(opts, host)
	case opts.list && len(opts.command) == 0:
		return list(opts, host)
	case len(opts.command) == 0: // -v, -k or -K alone
		return remembered(opts, host)
	}
	request, err := newRequest(opts, host)
	if err != nil {
		return 0, err
	}
	root := agentRoot(opts.root, host.DefaultRoot, host.Administrator, os.Getenv)
	if err := connect(host, root); err != nil {
		return 0, err
	}
	s := &session{host: host, root: root, request: request, nonInteractive: opts.nonInteractive}
	s.ask()
	return s.attend()
}

// say writes text; where even that is impossible there is nobody to tell.
func say(w io.Writer, text string) { io.WriteString(w, text) }

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
