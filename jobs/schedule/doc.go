// Package schedule says when jobs are due: it reads the "schedule" of a job file,
// finds the next time after another, and holds a clock that calls whoever asked when
// a time has come.
//
// It runs nothing, and what a missed time means is only chosen here, by the file;
// who is called decides what is done.
package schedule
