// Package tpm uses a TPM 2.0 for what a machine identity needs: a key that
// signs and cannot be taken away, secrets that only this TPM gives back, and
// statements of the TPM about itself that somebody else can verify.
//
// It is not a general binding, owns nothing that outlives a call in the TPM,
// and keeps nothing on disk: what is to be kept are Blobs, and whoever calls
// keeps them.
//
// Numbers of parts and sections in comments are those of the TPM 2.0 Library
// Specification, revision 1.59; "provisioning" is the TCG TPM v2.0 Provisioning
// Guidance 1.0, "EK profile" the TCG EK Credential Profile 2.5.
package tpm
