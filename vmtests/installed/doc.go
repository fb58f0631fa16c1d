//go:build linux

// Package installed tests an agent where it belongs: in its own directory on a
// Debian machine with systemd, accounts, groups and sudo, started by a unit.
//
// What needs none of these is told faster in package e2e.
package installed
