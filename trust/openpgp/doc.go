// Package openpgp checks detached OpenPGP signatures over binary data (RFC
// 9580, section 10.4; version 4 packets, as in RFC 4880) against keyrings that
// this machine was told to trust. The arithmetic and the packet bodies are
// github.com/ProtonMail/go-crypto's; which packets, keys, algorithms and times
// are good enough is decided here.
//
// It knows no web of trust, fetches no keys and no revocations, decrypts
// nothing, and reads no secret keys, messages or cleartext signatures.
package openpgp
