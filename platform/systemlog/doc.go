// Package systemlog writes lines to the system's own log: journald or syslog on
// Linux, syslog on macOS, the event log on Windows. It is apart from package
// platform because a plugin links nothing that it does not use.
//
// It forwards lines, and decides neither what is logged nor what a line says.
package systemlog
