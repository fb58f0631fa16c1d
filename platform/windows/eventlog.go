//go:build windows

package windows

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Numbers of our events: people filter by them.
const (
	eventService = 1 // about the service itself
	eventRequest = 2 // about one request: its id is in the text
)

// maxEvent is the longest text of an event, in UTF-16 units (learn.microsoft.com,
// "ReportEventW").
const maxEvent = 31_839

// EventLog writes the service's log to the log Application of the machine.
type EventLog struct{ log *eventlog.Log }

var _ io.WriteCloser = (*EventLog)(nil)

// OpenEventLog returns the machine's log, for a service. Its events have the source
// KeeperPrivilegeManager, whose texts are those of EventCreate.exe: one place for a
// text, which is ours.
func OpenEventLog() (*EventLog, error) {
	// It is there already from the second start on.
	_ = eventlog.InstallAsEventCreate(ServiceName, eventlog.Info|eventlog.Warning|eventlog.Error)
	log, err := eventlog.Open(ServiceName)
	if err != nil {
		return nil, fmt.Errorf("event log: %w", err)
	}
	return &EventLog{log}, nil
}

// Write implements io.Writer, for one line of the log. What is neither a warning,
// nor an error, nor about a request is left out: KeeperLogger has it.
func (e *EventLog) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	level, number, worth := classify(text)
	if !worth {
		return len(line), nil
	}
	wide, err := windows.UTF16FromString(strings.ReplaceAll(text, "\x00", " "))
	if err != nil {
		return 0, err
	}
	text = windows.UTF16ToString(wide[:min(len(wide), maxEvent)])
	switch level {
	case eventlog.Error:
		err = e.log.Error(number, text)
	case eventlog.Warning:
		err = e.log.Warning(number, text)
	default:
		err = e.log.Info(number, text)
	}
	if err != nil {
		return 0, fmt.Errorf("event log: %w", err)
	}
	return len(line), nil
}

// Close implements io.Closer.
func (e *EventLog) Close() error { return e.log.Close() }

// classify says what kind of event a line of package slog's text is.
func classify(line string) (level uint16, number uint32, worth bool) {
	level, number = eventlog.Info, eventService
	if strings.Contains(line, " request=") {
		number, worth = eventRequest, true
	}
	switch {
	case strings.Contains(line, "level=ERROR"):
		return eventlog.Error, number, true
	case strings.Contains(line, "level=WARN"):
		return eventlog.Warning, number, true
	}
	for _, told := range []string{"msg=ready", "msg=stopping"} {
		worth = worth || strings.Contains(line, told+" ") || strings.HasSuffix(line, told)
	}
	return level, number, worth
}
