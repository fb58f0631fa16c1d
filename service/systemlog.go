package service

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/wire"
	"kpm/launcher"
	"kpm/launcher/journal"
)

// SystemLog is the system's own log, as package platform/systemlog writes it.
type SystemLog interface {
	Write(level, line string) error
	Close() error
}

const (
	// tellQueue is how many lines may wait for a log daemon that is slow: no
	// elevation waits for it.
	tellQueue = 256
	// refusalsEvery and refusalsAtOnce bound the lines about one user's refusals,
	// which cost whoever asks nothing.
	refusalsEvery  = 6 * time.Second
	refusalsAtOnce = 20
	// maxCommand is as much of a command as sudo logs in one line, in bytes.
	maxCommand = 4096
)

// systemLogger writes elevations to the system's own log, a line each, as sudo(8)
// does (sudoers(5), "EVENT LOGGING"), so that what reads sudo's lines reads ours.
type systemLogger struct {
	open  func() (SystemLog, error)
	lines chan toldLine
	lost  atomic.Uint64
	rate  *fair.Rate[core.UserID]
}

type toldLine struct{ level, text string }

func newSystemLogger(open func() (SystemLog, error)) *systemLogger {
	return &systemLogger{
		open: open, lines: make(chan toldLine, tellQueue),
		rate: fair.NewRate[core.UserID](1/refusalsEvery.Seconds(), refusalsAtOnce),
	}
}

// told takes one line. It never blocks.
func (s *systemLogger) told(t launcher.Told) {
	if t.Outcome != journal.Launched && s.rate.Take(t.UserID, 1) > 0 {
		s.lost.Add(1)
		return
	}
	line := toldLine{"Information", sudoLine(t)}
	if t.Outcome != journal.Launched {
		line.level = "Warning"
	}
	select {
	case s.lines <- line:
	default:
		s.lost.Add(1)
	}
}

// run writes until ctx is done, and then what waits. A log that is not there is
// looked for again with each line.
func (s *systemLogger) run(ctx context.Context, failed func(error)) {
	var log SystemLog
	write := func(line toldLine) {
		var err error
		if log == nil {
			var opened SystemLog
			if opened, err = s.open(); err == nil {
				log = opened
			}
		}
		if err == nil {
			err = log.Write(line.level, line.text)
		}
		if err != nil {
			s.lost.Add(1)
			failed(err)
			return
		}
		if n := s.lost.Swap(0); n > 0 {
			if log.Write("Warning", fmt.Sprintf("%d lines about requests were not written here; the journal has all: KeeperAdminCLI audit list", n)) != nil {
				s.lost.Add(n)
			}
		}
	}
	for {
		select {
		case line := <-s.lines:
			write(line)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case line := <-s.lines:
				write(line)
				continue
			default:
			}
			break
		}
		if log != nil {
			_ = log.Close() // nothing is lost with it
		}
		return
	}
}

// refusedAs are sudo's words, and ours where it has none.
var refusedAs = map[journal.Type]string{
	journal.Denied: "command not allowed", journal.Expired: "not allowed in time", journal.Failed: "command not run",
}

// sudoLine is t as sudo would log it: "user : reason ; TTY=.. ; PWD=.. ; USER=.. ;
// COMMAND=..", with the request's id before the command.
func sudoLine(t launcher.Told) string {
	fields := []string{"TTY=" + field(t.Terminal, "unknown"), "PWD=" + field(t.Directory, "unknown"), "USER=" + field(t.Target, "unknown"), "REQUEST=" + string(t.Request)}
	if reason := refusedAs[t.Outcome]; reason != "" {
		fields = append([]string{reason}, fields...)
	}
	command := t.Program
	if len(t.Argv) > 1 {
		command += " " + strings.Join(t.Argv[1:], " ")
	}
	command = strings.ToValidUTF8(command[:min(len(command), maxCommand)], "")
	return field(t.User, string(t.UserID)) + " : " + strings.Join(fields, " ; ") + " ; COMMAND=" + wire.Printable(command)
}

// field is a value that comes before others on the line. Attack: somebody works in
// a folder called "x ; USER=nobody ; COMMAND=/bin/true": what could end the field is
// written as sudo writes control characters, # and three octal digits.
func field(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return fieldEnds.Replace(wire.Printable(value))
}

var fieldEnds = strings.NewReplacer(" ", "#040", ";", "#073", "=", "#075")

// startSystemLog has elevations written to the system's log, where there is one,
// from now on.
func (s *service) startSystemLog(ctx context.Context, o Options) error {
	if o.SystemLog == nil || !s.app.Journal.SystemLog {
		return nil
	}
	logger := newSystemLogger(o.SystemLog)
	s.told = logger.told
	said := false
	s.background(ctx, func(ctx context.Context) {
		logger.run(ctx, func(err error) {
			if !said {
				s.log.Info("elevations are not in the system's log", "error", err)
			}
			said = true
		})
	})
	return nil
}
