//go:build linux

// Package execution is what keeperexec does its work with: programs are stopped by
// fanotify(7) right before they run (FAN_OPEN_EXEC_PERM), and go on or not. It
// carries events and answers, and decides nothing.
//
// The machine cannot hang on it. What was not answered when this process ends, for
// whatever reason, the kernel allows. And a process that does not end, because it is
// stopped, frozen or at a loss, is ended by a timer in the kernel (Group.Alive) that
// nothing but its own work puts off.
package execution
