// Package conformance says what the launcher, process tree and terminals of every
// operating system do, as tests that are written once. The tests of each
// platform's folder run them on its own ports.
//
// It knows no operating system: what differs is in the Ground that it is given,
// and what a ground cannot show is named there with the reason, and printed.
package conformance
