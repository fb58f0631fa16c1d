package plugins

import (
	"errors"
	"os"
	"strings"
	"time"

	"kpm/core/capture"
	"kpm/core/wire"
)

// stderrLines of what a process wrote last to its standard error are kept.
const stderrLines = 20

// outputs keep the end of what a process writes.
type outputs struct{ out, err *capture.Pipe }

// ends are the process's.
type ends struct{ out, err *os.File }

func (e ends) close() { _ = errors.Join(e.out.Close(), e.err.Close()) } // write ends: nothing is lost

func newOutputs() (*outputs, ends, error) {
	out, childOut, err := capture.Last(tailBytes)
	if err != nil {
		return nil, ends{}, err
	}
	errs, childErr, err := capture.Last(tailBytes)
	if err != nil {
		childOut.Close()
		out.Finish(0)
		return nil, ends{}, err
	}
	return &outputs{out, errs}, ends{childOut, childErr}, nil
}

// finish is called once, when the process has ended. text is what it wrote last
// on one line, lines the last of its standard error, both printable.
func (o *outputs) finish(wait time.Duration) (text string, lines []string) {
	until := time.Now().Add(wait)
	said := o.out.Text(wait)
	data, truncated := o.err.Finish(max(0, time.Until(until)))
	for line := range strings.SplitSeq(string(data), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, wire.Printable(line))
		}
	}
	lines = lines[max(0, len(lines)-stderrLines):]
	text = strings.Join([]string{said, capture.OneLine(data, truncated)}, " | ")
	return strings.Trim(text, " |"), lines
}
