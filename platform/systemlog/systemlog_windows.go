//go:build windows

package systemlog

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/windows/svc/eventlog"
)

// eventID is that of every line: they differ in what they say.
const eventID = 1

// Log is an open log.
type Log struct{ log *eventlog.Log }

// Open opens the event log for the source name, which need not be installed:
// without it lines are shown after a remark that says so.
func Open(name string) (*Log, error) {
	log, err := eventlog.Open(name)
	if err != nil {
		return nil, fmt.Errorf("systemlog: %w", err)
	}
	return &Log{log}, nil
}

// OpenAuthorization is Open: who may read the log is the machine's affair.
func OpenAuthorization(name string) (*Log, error) { return Open(name) }

// Write logs one line.
func (l *Log) Write(level, line string) error {
	switch strings.ToLower(level) {
	case "critical", "error":
		return l.log.Error(eventID, line)
	case "warning":
		return l.log.Warning(eventID, line)
	}
	return l.log.Info(eventID, line)
}

// Close closes it.
func (l *Log) Close() error { return l.log.Close() }

// Reads reports whether the system's log reads f: the event log reads no files.
func Reads(*os.File) bool { return false }
