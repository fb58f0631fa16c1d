package main

import (
	"bytes"
	"io"
)

// levels are how lines of the log say theirs, and how journald has it (sd-daemon(3)).
var levels = []struct{ said, prefix string }{
	{"level=ERROR+4", "<2>"}, {"level=ERROR", "<3>"}, {"level=WARN", "<4>"}, {"level=INFO", "<6>"}, {"level=DEBUG", "<7>"},
}

// levelled returns w, or, if journald is at its other end, a writer that tells it
// the level of each line, so that "journalctl -p warning" finds it.
func levelled(w io.Writer, journald bool) io.Writer {
	if !journald {
		return w
	}
	return prefixing{w}
}

type prefixing struct{ to io.Writer }

// Write implements io.Writer, for one line of the log.
func (p prefixing) Write(line []byte) (int, error) {
	prefix := "<6>"
	for _, l := range levels {
		if bytes.Contains(line, []byte(" "+l.said)) {
			prefix = l.prefix
			break
		}
	}
	_, err := p.to.Write(append([]byte(prefix), line...))
	if err != nil {
		return 0, err
	}
	return len(line), nil
}
