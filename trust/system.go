package trust

import (
	"context"
	"os"

	"kpm/core"
)

// System is what the operating system knows about an open file beyond its
// bytes. Everything is asked of the handle, never of a path (attack class
// check-then-exec: CVE-2021-3969). A platform without one of them answers
// errors.ErrUnsupported.
type System interface {
	// Attribute returns an extended attribute of the object behind f, or
	// core.ErrNoAttribute.
	Attribute(f *os.File, name string) ([]byte, error)
	// Verity returns the fs-verity measurement that the kernel enforces for f,
	// or core.ErrNoAttribute.
	Verity(f *os.File) (core.Verity, error)
	// Generation returns what tells two files apart that have had the same
	// inode, 0 where the file system keeps nothing.
	Generation(f *os.File) (uint64, error)
	// Node returns what EVM binds a signature to beside the attributes, or
	// errors.ErrUnsupported.
	Node(f *os.File) (core.Node, error)
	// Verdict returns the system's own answer, of Kind core.KindSystem or
	// core.KindSystemCatalog, or core.ErrNoAttribute if it knows of no
	// signature.
	Verdict(ctx context.Context, f *os.File) (core.Evidence, error)
}
