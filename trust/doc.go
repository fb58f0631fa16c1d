// Package trust makes and checks what people and programs rely on to know whom
// they deal with: today the certificate of the loopback listeners.
//
// It decides nothing about callers, and it never writes a private key anywhere.
package trust
