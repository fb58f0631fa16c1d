//go:build linux

// Package packages installs, upgrades, removes and purges the Debian package on a
// disposable machine, and looks into those that no machine here can install.
package packages
