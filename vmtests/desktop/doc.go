//go:build linux

// Package desktop drives the staged dialogs on a real X server, with a window manager,
// as people do: by keys and by what ends windows and processes.
//
// Its logind is a stand-in: a machine of tests has no screen to log in on. What the port
// makes of a real one is told by package installed.
package desktop
