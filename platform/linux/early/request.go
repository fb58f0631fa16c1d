//go:build linux

package early

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// writer is the frame of a request, and what was found beside it in the command line.
type writer struct {
	frame   [64 << 10]byte
	n       int
	full    bool
	key     int // where it is to be
	root    *byte
	command *byte
	hasPath bool // command is one, and no name for the service to look up
}

// headerSize is what a frame begins with: a type, and the length of its body.
const headerSize = 5

// Flags of a request (docs/wire.md, "Door frames").
const (
	hasExecutable  = 1 << 0
	nonInteractive = 1 << 1
	hasTerminal    = 1 << 2
	background     = 1 << 3
	keyed          = 1 << 4
	noWait         = 1 << 6
)

// rootVariable names the agent, as in package api/client/sudo.
const rootVariable = "KEEPER_AGENT_ROOT"

// read writes the request for a command line, and reports whether it is one for this
// package. It is as api/client/sudo makes it of the same command line and environment, but
// for the key.
//
//go:nosplit
//go:norace
func (s *stage) read(arguments *uintptr) bool {
	w := &s.request
	argc := int(*arguments)
	at, silent := 2, false // argc itself, then the name by which this was started
	for ; at <= argc; at++ {
		switch option := word(arguments, at); {
		case is(option, "-n"):
			silent = true
			continue
		case is(option, "--root") && at < argc:
			at++
			w.root = word(arguments, at)
			continue
		case is(option, "--"):
			at++
		}
		break
	}
	if at > argc || !w.take(word(arguments, at)) {
		return false
	}
	w.header(silent, s.screen)
	w.list(arguments, at, argc)
	named := w.environment(arguments, argc+2)
	w.numberAt(1, uint32(w.n-headerSize))
	return named && !w.full
}

// take notes the command, and reports whether it is one: no option, nothing that sets a
// variable, and not empty.
//
//go:nosplit
//go:norace
func (w *writer) take(command *byte) bool {
	w.command, w.hasPath = command, contains(command, '/')
	return byteOf(command, 0) != 0 && byteOf(command, 0) != '-' && !contains(command, '=')
}

// header writes what comes before the arguments.
//
//go:nosplit
//go:norace
func (w *writer) header(silent bool, screen screen) {
	w.byte(byte(door.TypeRequest))
	w.number(0) // the length of what follows: read writes it
	flags := byte(keyed)
	if w.hasPath {
		flags |= hasExecutable
	}
	if silent {
		flags |= nonInteractive
	}
	if screen.terminal {
		flags |= hasTerminal
	}
	if screen.background {
		flags |= background
	}
	if silent || !screen.terminal {
		flags |= noWait // nobody who waits can see for what, or give it up
	}
	w.byte(door.Version)
	w.byte(flags)
	w.byte(0)
	w.key = w.n
	for range len(door.Key{}) {
		w.byte(0)
	}
	w.byte(0) // no other terminals
	w.number(uint32(screen.rows)<<16 | uint32(screen.columns))
	w.text(w.command)
	w.number(0) // as root
}

// setKey draws the key of the request, which the writer has left room for, and reports
// whether it could.
//
//go:nosplit
//go:norace
func (s *stage) setKey() bool {
	n, _, errno := unix.RawSyscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(&s.key)), uintptr(len(s.key)), 0)
	if errno != 0 || n != uintptr(len(s.key)) {
		return false
	}
	for i, b := range s.key {
		s.request.frame[s.request.key+i] = b
	}
	return true
}

// list writes arguments from one to another.
//
//go:nosplit
//go:norace
func (w *writer) list(arguments *uintptr, from, to int) {
	w.number(uint32(to - from + 1))
	for at := from; at <= to; at++ {
		w.text(word(arguments, at))
	}
}

// environment writes the variables that the service may keep, and finds the agent's root
// among all. It reports whether there is one.
//
//go:nosplit
//go:norace
func (w *writer) environment(arguments *uintptr, from int) bool {
	count := w.n
	w.number(0)
	kept, named := uint32(0), (*byte)(nil)
	for at := from; word(arguments, at) != nil; at++ {
		variable := word(arguments, at)
		root := has(variable, rootVariable+"=")
		if !root && !offered(variable) || repeated(arguments, from, at) {
			continue
		}
		if root {
			named = variable
			continue
		}
		kept++
		w.text(variable)
	}
	w.numberAt(count, kept)
	if w.root == nil && named != nil && byteOf(named, len(rootVariable)+1) != 0 {
		// An administrator has more to lose, and an environment that may be somebody else's.
		if user, _, _ := unix.RawSyscall(unix.SYS_GETEUID, 0, 0, 0); user != 0 {
			w.root = after(named, len(rootVariable)+1)
		}
	}
	if w.root == nil {
		w.root = text(defaultRoot)
	}
	return byteOf(w.root, 0) != 0
}

// offered reports whether the service may keep a variable (docs/settings.md, "Environment
// of elevated commands").
//
//go:nosplit
//go:norace
func offered(variable *byte) bool {
	return has(variable, "LC_") || named(variable, "TERM") || named(variable, "LANG") || named(variable, "COLORTERM") ||
		named(variable, "LANGUAGE") || named(variable, "TZ") || named(variable, "NO_COLOR")
}

// repeated reports whether a variable of that name comes before: the runtime drops others
// than the first.
//
//go:nosplit
//go:norace
func repeated(arguments *uintptr, from, at int) bool {
	for before := from; before < at; before++ {
		if sameName(word(arguments, before), word(arguments, at)) {
			return true
		}
	}
	return false
}

//go:nosplit
//go:norace
func (w *writer) byte(b byte) {
	if w.n >= len(w.frame) {
		w.full = true
		return
	}
	w.frame[w.n] = b
	w.n++
}

//go:nosplit
//go:norace
func (w *writer) number(n uint32) {
	for shift := 24; shift >= 0; shift -= 8 {
		w.byte(byte(n >> shift))
	}
}

// numberAt writes a number over another one.
//
//go:nosplit
//go:norace
func (w *writer) numberAt(at int, n uint32) {
	end := w.n
	w.n = at
	w.number(n)
	w.n = end
}

//go:nosplit
//go:norace
func (w *writer) text(p *byte) {
	w.number(uint32(length(p)))
	for i := 0; byteOf(p, i) != 0 && !w.full; i++ {
		w.byte(byteOf(p, i))
	}
}
