package port

import (
	"context"
	"crypto"
	"os"

	"kpm/core"
)

// ErrNoAttribute means that a file does not carry what was asked for.
var ErrNoAttribute = core.NewError(core.NotFound, "no such attribute")

// Verity is what the kernel has measured of a file and holds it to (fs-verity,
// Documentation/filesystems/fsverity.rst).
type Verity struct {
	Hash   crypto.Hash
	Digest []byte // of struct fsverity_descriptor
	// BlockSize, in bytes, and Salt are the parameters of the Merkle tree; a
	// BlockSize of 0 means that the kernel does not tell them (before 5.12).
	BlockSize int
	Salt      []byte
	// Signature is the built-in PKCS#7 signature, nil if there is none.
	Signature []byte
}

// Node is the inode as security.evm covers it (hmac_add_misc in the kernel's
// security/integrity/evm/evm_crypto.c).
type Node struct {
	Inode      uint64
	Generation uint32
	UID, GID   uint32
	Mode       uint16
	// UUID is that of the file system, 16 bytes; nil if it does not say.
	UUID []byte
}

// SystemSignatures is what the operating system knows about an open file beyond its
// bytes. Everything is asked of the handle, never of a path (attack class
// check-then-exec: CVE-2021-3969). A platform without one of them answers
// errors.ErrUnsupported.
type SystemSignatures interface {
	// Attribute returns an extended attribute of the object behind f, or
	// ErrNoAttribute.
	Attribute(f *os.File, name string) ([]byte, error)
	// Verity returns the fs-verity measurement that the kernel enforces for f,
	// or ErrNoAttribute.
	Verity(f *os.File) (Verity, error)
	// Generation returns what tells two files apart that have had the same
	// inode, 0 where the file system keeps nothing.
	Generation(f *os.File) (uint64, error)
	// Node returns what EVM binds a signature to beside the attributes, or
	// errors.ErrUnsupported.
	Node(f *os.File) (Node, error)
	// Verdict returns the system's own answer, of Kind core.KindSystem or
	// core.KindSystemCatalog, or ErrNoAttribute if it knows of no
	// signature.
	Verdict(ctx context.Context, f *os.File) (core.Evidence, error)
}
