// Package descriptors has the system make room for the files that a process is going to
// have open. It opens none, and allows nobody more than they may have. It is apart from
// package platform because it is about a process, and not about a machine.
package descriptors
