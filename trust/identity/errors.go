package identity

import "errors"

// Errors of Open, beside those of package tpm and port.ErrNoTPM. The remedy of
// each is an administrator's: Rotate, or other settings.
var (
	// errNone: there never was a key. Open makes one.
	errNone = errors.New("there is no machine key yet")
	// ErrLost: there was a key, and its file is gone.
	ErrLost = errors.New("the machine key is gone")
	// ErrDamaged: the file is there and cannot be understood.
	ErrDamaged = errors.New("the machine key's file is damaged")
	// ErrExposed: others can read the file. Who has, has the key, if it is not
	// in a TPM.
	ErrExposed = errors.New("others can read the machine key's file")
	// ErrElsewhere: the settings ask for a key in a TPM and it is in a file, or
	// the other way round.
	ErrElsewhere = errors.New("the machine key is not where the settings want it")
	// ErrSealed: what is sealed is damaged, was sealed for something else, or
	// under a key that is no more.
	ErrSealed = errors.New("what is sealed cannot be opened")
	// ErrAttestation: the document does not prove what it claims.
	ErrAttestation = errors.New("the attestation does not hold")
)
