// Package trust holds the certificates of the loopback listeners, and what the
// packages below it ask of a platform. Those answer who vouches for a file:
// cms, chain and timestamp read what signatures are made of; authenticode,
// macho, ima, openpgp and packages what carries them; provenance puts them
// together. identity and tpm are the key by which this machine vouches for
// itself.
//
// Nothing here decides about callers, and nothing starts a program.
package trust
