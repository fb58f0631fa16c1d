// Package held is the helper's side of a two-phase launch on Windows: a process
// that already is in the target's session and has the target's rights, creates
// the program without letting it run, waits, and then lets it run or ends it
// (decision 32).
//
// It decides nothing. Who may start what was settled before the helper hears of
// it, and package windows looks at what the helper has created before it says
// go. Windows has no exec: the helper stays the program's parent and the leader
// of its launch group, holds the one handle that keeps the group alive, and ends
// with the program's exit code.
package held
