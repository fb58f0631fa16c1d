// Package reader has the signatures that a file carries read by a process
// without any privilege: what is asked and answered, the process's loop, and
// the pool of processes that are held ready. Package judge is what a reader does
// with a file.
//
// It parses no file and trusts no answer. A reader may have been taken over by
// the file that it reads: what it says is decoded strictly, may only be about
// what was asked, and counts for that one file. One that has read a file which
// a user can change reads no other.
package reader
