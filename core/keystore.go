package core

// Assurance says what keeps a private key from being copied.
type Assurance string

// The assurances.
const (
	// AssuranceTPM: the key was made in a TPM 2.0, which does not give it away.
	AssuranceTPM Assurance = "tpm"
	// AssuranceSoftware: the key lies in a file, and whoever has read that
	// file once has it.
	AssuranceSoftware Assurance = "software"
)
