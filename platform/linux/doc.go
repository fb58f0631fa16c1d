// Package linux makes the ports of core real on Linux 5.8 and later.
//
// It asks the kernel and reports what it said; it decides nothing about who
// may do what. Everything here assumes that the process is root in the
// machine's initial namespaces.
package linux
