// Package port holds everything that the service asks of an operating system,
// one file for each concept: an interface and what its errors mean. The folders
// of package platform make them real, with files of the same names.
//
// A port does what it is told and reports what it sees. It decides nothing:
// decisions are portable, and tested on every system.
package port
