package admincli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/span"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

func tailCommand(a *agent) *cobra.Command {
	var n int
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the last records",
		Long: `Show the last records, one per line.

Characters that could move the cursor or hide text are replaced; with --json
they are escaped, and nothing is lost.`,
		Example: "  KeeperAdminCLI audit tail -n 100\n  KeeperAdminCLI audit tail -f\n  KeeperAdminCLI audit tail -n 1000 --json | jq 'select(.type==\"denied\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 0 {
				return fmt.Errorf("-n is %d, expected 0 or more", n)
			}
			layout, err := a.layout()
			if err != nil {
				return err
			}
			return tail(cmd.Context(), cmd.OutOrStdout(), layout.Audit(), n, follow, asJSON)
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many records")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new records until interrupted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the records as they are written")
	return cmd
}

func tail(ctx context.Context, w io.Writer, dir string, n int, follow, asJSON bool) error {
	err := journal.Tail(ctx, dir, n, follow, func(line []byte, r journal.Record) error {
		text := string(ascii(line))
		if !asJSON {
			text = wire.Printable(describe(r))
		}
		_, err := fmt.Fprintln(w, text)
		return err
	})
	if err == nil && !follow {
		err = ctx.Err() // fewer records than there are look like all of them
	}
	return err
}

// describe is a record on one line, for people.
func describe(r journal.Record) string {
	b := []string{r.Time.Local().Format("2006-01-02 15:04:05.000"), fmt.Sprintf("%-10s", r.Type)}
	add := func(name, value string) {
		if value != "" {
			b = append(b, name+"="+value)
		}
	}
	add("request", string(r.Request))
	add("user", word(r.User))
	add("target", word(r.Target))
	if r.Program != nil {
		add("program", word(r.Program.Path))
	}
	if r.Argv != nil {
		quoted := make([]string, len(r.Argv))
		for i, arg := range r.Argv {
			quoted[i] = strconv.Quote(arg)
		}
		add("argv", "["+strings.Join(quoted, " ")+"]")
	}
	if w := r.ArgvWhole; w != nil {
		add("arguments", strconv.Itoa(w.Arguments))
		add("bytes", strconv.Itoa(w.Bytes))
		add("sha256", word(w.SHA256))
	}
	add("directory", word(r.Directory))
	if r.Origin != nil {
		add("from", word(r.Origin.String()))
	}
	add("outcome", string(r.Outcome))
	add("by", r.By)
	add("cause", r.Cause)
	for _, p := range r.Policies {
		add("policy", strconv.Quote(p.Name))
	}
	for _, c := range r.Controls {
		add("control", string(c))
	}
	for _, job := range r.FilterJobs {
		add("filter", word(job))
	}
	for _, id := range r.Grants {
		add("grant", word(id))
	}
	if g := r.Grant; g != nil {
		add("grant", word(g.ID))
		add("for", span.Text(time.Duration(g.Seconds)*time.Second))
	}
	if r.Child != nil {
		add("process", r.Child.ID().String())
	}
	if r.Exit != nil {
		add("status", strconv.Itoa(r.Exit.Shell()))
		add("after", (time.Duration(r.Millis) * time.Millisecond).String())
	}
	if r.Killed > 0 {
		add("killed", strconv.Itoa(r.Killed))
	}
	if r.Message != "" {
		add("message", strconv.Quote(r.Message))
	}
	if r.Signed != nil {
		add("signed", strconv.FormatUint(r.Signed.Seq, 10))
		add("key", word(r.Signed.Key))
	}
	if len(r.Open) > 0 {
		add("open", strconv.Itoa(len(r.Open)))
	}
	if r.Count > 0 {
		add("count", strconv.Itoa(r.Count))
	}
	if !r.Since.IsZero() {
		add("since", r.Since.Local().Format("2006-01-02T15:04:05.000"))
	}
	if r.First > 0 && r.Type != journal.Segment && r.Type != journal.Start {
		add("first", strconv.FormatUint(r.First, 10))
	}
	if r.Shift != 0 {
		add("shift", (time.Duration(r.Shift) * time.Millisecond).String())
	}
	if !r.Written.IsZero() {
		add("written", r.Written.Local().Format("2006-01-02T15:04:05.000"))
	}
	if r.Cut > 0 {
		add("cut", strconv.FormatInt(r.Cut, 10))
	}
	add("fault", r.Fault)
	return strings.Join(b, " ")
}

// word quotes what could be taken for more than one value. Attack: somebody
// calls a directory "x user=root cause=allow".
func word(s string) string {
	if strings.ContainsAny(s, " =\"\\[]") || wire.Printable(s) != s {
		return strconv.Quote(s)
	}
	return s
}
