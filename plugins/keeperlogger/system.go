package keeperlogger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// SystemLog is the system's own log: journald or syslog, the event log.
type SystemLog interface {
	// Write logs one line of text without control characters. level is one of
	// docs/wire.md. It does not wait for long; an error means that the line is
	// lost.
	Write(level, line string) error
	Close() error
}

// system is the sink of a SystemLog. It counts what it could not write, and
// says so with the next line that it could.
type system struct {
	log    SystemLog
	stderr io.Writer
	lost   int
}

func withSystem(sinks []sink, faults []error, host Config) ([]sink, []error) {
	if host.System == nil {
		return sinks, append(faults, fmt.Errorf("log.system: %w", errors.ErrUnsupported))
	}
	log, err := host.System()
	if err != nil {
		return sinks, append(faults, fmt.Errorf("log.system: %w", err))
	}
	return append(sinks, &system{log: log, stderr: host.Stderr}), faults
}

func (s *system) write(e entry) {
	if s.lost > 0 && s.log.Write("Warning", fmt.Sprintf("%s: %d lines could not be written here; the log file may have them", ID, s.lost)) == nil {
		s.lost = 0
	}
	if err := s.log.Write(e.level, string(untimed(e.text))); err != nil {
		if s.lost == 0 {
			fmt.Fprintf(s.stderr, "KeeperLogger: the system's log cannot be written: %v\n", err)
		}
		s.lost++
	}
}

// untimed is a line without time, level and line break, which the system's log
// has by itself.
func untimed(line []byte) []byte {
	if _, rest, ok := bytes.Cut(line, []byte("] ")); ok {
		line = rest
	}
	return bytes.TrimSuffix(line, []byte("\n"))
}

func (s *system) close() {
	if err := s.log.Close(); err != nil {
		fmt.Fprintf(s.stderr, "KeeperLogger: the system's log cannot be closed: %v\n", err)
	}
}
