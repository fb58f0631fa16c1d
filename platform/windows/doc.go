// Package windows makes the ports of core/port real on Windows, as far as they
// are: what it has no file for is package none's.
package windows
