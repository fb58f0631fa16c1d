package admincli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/wire"
)

// lookAgain is how often a log that is followed is looked at.
const lookAgain = 200 * time.Millisecond

func pluginLogsCommand(e *endpoint) *cobra.Command {
	var follow, asJSON bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Show what a plugin has logged",
		Long: `Show what a plugin has logged through KeeperLogger lately, from the active
log file. With -f it goes on until it is interrupted. With --json each line is an
object with time, level, source and message; where the log is written as JSON
itself (log.format), it is printed as it is.`,
		Example: "  KeeperAdminCLI plugins logs MyBridge\n  KeeperAdminCLI plugins logs -f MyBridge",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var path string
			if err := e.get(cmd.Context(), "/api/PluginSettings/KeeperLogger/log.file.path", &path); err != nil {
				return err
			}
			l := pluginLog{id: args[0], path: path, out: cmd.OutOrStdout(), asJSON: asJSON}
			if err := l.last(lines); err != nil {
				return err
			}
			if !follow {
				return nil
			}
			return l.follow(cmd.Context())
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	cmd.Flags().IntVarP(&lines, "lines", "n", 20, "lines to begin with")
	return cmd
}

// pluginLog is one plugin's lines of the log file.
type pluginLog struct {
	id, path string
	out      io.Writer
	asJSON   bool

	read int64 // so far
	file os.FileInfo
}

// of reports whether a line, as text or as JSON, is the plugin's.
func (l *pluginLog) of(line string) bool {
	if _, rest, ok := strings.Cut(line, "] "); ok && !strings.HasPrefix(line, "{") {
		return strings.HasPrefix(rest, l.id+": ") || strings.HasPrefix(rest, l.id+" ")
	}
	return strings.Contains(line, `"`+l.id+`"`)
}

// last prints the last n lines.
func (l *pluginLog) last(n int) error {
	var kept []string
	err := l.more(func(line string) error {
		if kept = append(kept, line); len(kept) > n {
			kept = kept[1:]
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: KeeperLogger has written nothing yet", l.path)
	}
	for _, line := range kept {
		if err := l.print(line); err != nil {
			return err
		}
	}
	return err
}

func (l *pluginLog) print(line string) error {
	if l.asJSON && !json.Valid([]byte(line)) {
		return printJSON(l.out, readLine(line))
	}
	_, err := fmt.Fprintln(l.out, wire.Printable(line))
	return err
}

// logLine is a line of the log that is written as text.
type logLine struct {
	Time    string `json:"time,omitempty"`
	Level   string `json:"level,omitempty"`
	Source  string `json:"source,omitempty"`
	Message string `json:"message"`
}

// readLine takes "TIME [LVL] SOURCE: MESSAGE" apart; what is not like that is the message.
func readLine(line string) logLine {
	at, rest, ok := strings.Cut(line, " [")
	level, rest, isLevel := strings.Cut(rest, "] ")
	source, message, isSource := strings.Cut(rest, ": ")
	name := map[string]string{"TRC": "Trace", "DBG": "Debug", "INF": "Information", "WRN": "Warning", "ERR": "Error", "FTL": "Critical"}[level]
	if !ok || !isLevel || !isSource || name == "" {
		return logLine{Message: line}
	}
	return logLine{at, name, source, message}
}

// more hands on the plugin's lines that were written since. A file that was
// rotated away is begun anew.
func (l *pluginLog) more(visit func(string) error) error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if l.file != nil && (!os.SameFile(l.file, info) || info.Size() < l.read) {
		l.read = 0
	}
	l.file = info
	if _, err := f.Seek(l.read, io.SeekStart); err != nil {
		return err
	}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if err != nil { // of half a line the rest is still to come
			return nil
		}
		l.read += int64(len(line))
		if line = strings.TrimRight(line, "\r\n"); l.of(line) {
			if err := visit(line); err != nil {
				return err
			}
		}
	}
}

func (l *pluginLog) follow(ctx context.Context) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if err := l.more(l.print); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}
