// Package condition decides whether a job or a task runs: it reads the "condition" of
// a job file, in its declarative form or as an expression, and holds it against the
// context of a run.
//
// A condition reads values and does nothing else: no loop, no call, no file, no clock.
// What it costs is bounded by its own length and by the values that it looks at.
package condition
