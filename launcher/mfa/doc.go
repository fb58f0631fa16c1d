// Package mfa keeps the second factors of people: time-based codes (RFC 6238)
// and recovery codes. It enrols, lists and removes them, verifies what a person
// typed, and remembers for a few minutes that somebody was verified.
//
// It asks nobody, and moves no request: package launcher/control does the first,
// package launcher the second. It knows nothing of what a code is asked for.
//
// Everything of one person lies in one record of State/factors.db, which the
// service alone can read. The secret in it is sealed under the machine key, and
// recovery codes are there as digests. Every change is a transaction that is
// durable before anybody hears of it: after kill -9 at any moment a code that
// was accepted is not accepted again, and a wrong one has been counted.
package mfa
