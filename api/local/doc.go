// Package local serves the local socket on which people ask for elevation
// (run/door.sock). It turns frames and descriptors into requests for the
// launcher, carries prompts, answers and signals, and ends each connection with
// one final frame (docs/wire.md, "Door frames").
//
// It decides nothing about a request: who is calling comes from the kernel,
// through port.DoorConn, and what becomes of it from the launcher.
package local
