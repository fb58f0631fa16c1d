// Package task holds the kinds of task that a job may have, one file and one
// row of a table each: what its part of a job file means, and what is done when
// its turn comes.
//
// It knows nothing of the order of tasks, their time, their routes or the
// context of a run; that is package jobs. A task carries facts and decides
// nothing about a request: what it may do is decided by whoever it asks, from
// the principal of its run.
package task
