// Package identity is who this machine is: one key that signs for it, in a TPM
// where there is one, the certificate for that key, secrets that only this
// machine reads, and what a registration server needs to be convinced of it.
//
// It makes the key when it is first asked for, and never makes another on its
// own: a key that is lost is an error until an administrator says Rotate. It
// does not say who may use the key; its directory is the service account's.
//
// Everything of the current key lies in one file, machine.json, that is
// replaced whole: whenever the power fails, the old key or the new one is
// there, complete. Beside it, keys/ has the public key of every machine key
// there ever was, for verifying what they signed, and seal.key is what secrets
// are sealed under where there is no TPM.
package identity
