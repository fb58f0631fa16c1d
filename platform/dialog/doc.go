// Package dialog shows questions on the desktop of whoever runs this process, by what the
// system has for that. It is for the mains of dialogs, which run as the person and have no
// right that a program of theirs has not (attack class CVE-2026-2914).
package dialog
