// Package jobs reads job files and runs jobs: when an event names them, or
// when somebody asks for one by name. A run is a list of tasks: programs, HTTP
// requests and built-ins.
//
// A run carries facts to the launcher and never moves a request itself. What a
// run may do is decided by whoever it asks, from the run's principal.
package jobs
