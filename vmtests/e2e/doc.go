//go:build linux

// Package e2e drives the staged executables as people and scripts do: as
// several local users, over the real door, bus and API. Each file in testdata
// is one story.
package e2e
