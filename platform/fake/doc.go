// Package fake is an operating system for tests: a port.Host whose programs are
// Go functions, whose sockets are in memory, and whose files lie in one folder.
// A whole service runs on it, on every system on which Go does.
//
// It has the file names of the real ones, and takes from package none what it
// does not do. It protects nothing: what a system keeps from whom is tested with
// that system.
package fake
