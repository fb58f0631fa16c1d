// Package journal is the launcher's memory: an append-only, hash-chained
// record of every request, written before anyone hears of what it records.
// docs/journal.md is its specification.
//
// It has one writer per agent root and does not decide or ship anything, and
// keeps no key. It shows a change by someone who cannot rewrite all of it and the
// head; root can (decision 33), but not sign it anew without the machine key.
package journal
