// Package history keeps what job runs did, beyond the life of the service: every run
// and task, and when schedules were last due. It is an SQLite database below State.
//
// What it was told before it answered survives the service being killed. It is for
// people who look into jobs and decides nothing about requests; that is the journal's.
package history
