package port

import (
	"os"

	"kpm/core"
)

// Terminals recognises terminals and makes new ones.
type Terminals interface {
	// IsTerminal reports whether f is a terminal, without reading from it or
	// waiting for whoever is behind it.
	IsTerminal(f *os.File) bool
	// Name returns what terminal f is called, such as "pts/3" or "tty1", asking
	// nobody; empty where that is not known.
	Name(f *os.File) string
	// Open makes a terminal that belongs to whom a program will run as.
	Open(owner core.Identity) (Terminal, error)
}

// Terminal is the terminal of one command: a pseudo terminal, or a pseudo
// console whose host lives in the command's session. A LaunchSpec names it, and
// the service never reads from it or writes to it.
type Terminal interface {
	// Resize sets its size in characters, 24 by 80 where one is 0, so that no
	// program starts on a window without room. After HandOver, where whoever
	// holds what was handed over sets the size, it is errors.ErrUnsupported.
	Resize(rows, columns uint16) error
	// HandOver calls send, once and after the program has been started, with
	// what the caller's program needs to show the terminal and to type into it,
	// and then keeps none of it. The error is send's.
	HandOver(send func(files ...*os.File) error) error
	// Close lets go of everything that is still held. A program that runs on a
	// terminal that was not handed over is hung up on. It may be called again.
	Close() error
}
