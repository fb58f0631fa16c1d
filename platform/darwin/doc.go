// Package darwin makes the ports of core/port real on macOS, as far as they are:
// what it has no file for is package none's.
package darwin
