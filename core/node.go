package core

import (
	"crypto"
	"errors"
)

// ErrNoAttribute means that a file does not carry what was asked for.
var ErrNoAttribute = errors.New("no such attribute")

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
