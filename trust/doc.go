// Package trust holds the certificates of the loopback listeners, and what the
// packages below it ask of a platform. Those answer who has signed a file:
// cms, chain and timestamp read what signatures are made of; authenticode,
// macho, ima, openpgp and packages what carries them; provenance puts them
// together. identity and tpm are the key with which this machine signs.
//
// Nothing here decides about callers, and nothing starts a program.
package trust
