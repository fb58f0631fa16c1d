// Package tool knows the programs of macOS that the ports call: where they are,
// what they are told, one argument each and never a shell's line, and how their
// answers read. It starts none; package darwin does.
//
// Answers are tested against what people have published, in testdata: each
// file's name has the version of macOS, "unstated" where its source has none, and
// testdata/README.md has the sources.
package tool

// Paths of the tools, on the system volume, which is sealed and read-only.
const (
	Codesign  = "/usr/bin/codesign"
	Dscl      = "/usr/bin/dscl"
	ID        = "/usr/bin/id"
	Launchctl = "/bin/launchctl"
	Scutil    = "/usr/sbin/scutil"
)

// Environment is everything that a tool is given: its answers are in English, and
// it finds nothing by a user's variables.
func Environment() []string { return []string{"LC_ALL=C", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"} }
