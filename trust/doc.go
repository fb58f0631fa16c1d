// Package trust answers two questions for everyone else: who vouches for this
// file, and with which certificate and key does this machine vouch for itself.
// Its packages read one format each: cms, chain and timestamp what signatures
// are made of; authenticode, macho, ima, openpgp and packages what carries
// them; identity and tpm the machine key. Here is what puts them together.
//
// It decides nothing about callers and starts nothing: it reports, and says
// what a program needs; refusing is up to who asked.
package trust
