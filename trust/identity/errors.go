package identity

import (
	"errors"

	"kpm/core"
)

// Errors of Open, beside those of package tpm and port.ErrNoTPM. The remedy of
// each is an administrator's: Rotate, or other settings.
var (
	// errNone: there never was a key. Open makes one.
	errNone = errors.New("there is no machine key yet")
	// ErrLost: there was a key, and its file is gone.
	ErrLost = core.NewError(core.NotFound, "the machine key is gone")
	// ErrDamaged: the file is there and cannot be understood.
	ErrDamaged = core.NewError(core.Invalid, "the machine key's file is damaged")
	// ErrExposed: others can read the file. Who has, has the key, if it is not
	// in a TPM.
	ErrExposed = core.NewError(core.NotPermitted, "others can read the machine key's file")
	// ErrElsewhere: the settings ask for a key in a TPM and it is in a file, or
	// the other way round.
	ErrElsewhere = core.NewError(core.Conflict, "the machine key is not where the settings want it")
	// ErrSealed: what is sealed is damaged, was sealed for something else, or
	// under a key that is no more.
	ErrSealed = core.NewError(core.Invalid, "what is sealed cannot be opened")
	// ErrAttestation: the document does not prove what it claims.
	ErrAttestation = core.NewError(core.Invalid, "the attestation does not hold")
)
