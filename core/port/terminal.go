package port

import (
	"kpm/core"
	"os"
)

// Terminals makes pseudo terminals.
type Terminals interface {
	// IsTerminal reports whether f is a terminal, without reading from it.
	IsTerminal(f *os.File) bool
	// Open makes a pair whose slave belongs to owner, of rows by columns
	// characters; 24 by 80 where one is 0, so that no program starts on a
	// window without room. The service keeps neither end: the slave goes to
	// the child, the master to the caller, who sets the size from then on.
	Open(owner core.Account, rows, columns uint16) (master, slave *os.File, err error)
}
