// Package file walks paths on macOS, one component at a time from an open
// directory, and decides who can change what lies there. What it decides by
// (modes, owners, access control lists, mounts) has no build tag and is tested on
// every system; what it calls is in files for macOS.
package file
