package admincli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

func listAuditCommand(a *agent) *cobra.Command {
	var asJSON bool
	var q journal.Query
	var request, outcome, since, until string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Choose records by user, outcome, request and time",
		Long: `Choose records by user, outcome, request and time, oldest first.

An outcome is launched, ended, denied, expired, failed or repeated (refused again,
and counted). A time is RFC 3339, a date, or how long ago: 2026-01-31T08:00:00Z,
2026-01-31, 24h. Records of a request name its user, target and program, so that
each can be read alone.`,
		Example: "  KeeperAdminCLI audit list --user alice --since 24h\n  KeeperAdminCLI audit list --outcome denied --since 2026-01-31\n  KeeperAdminCLI audit list --request 4BOTQF3XZW --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Request, q.Outcome = core.RequestID(request), journal.Type(outcome)
			for name, at := range map[string]struct {
				text string
				into *time.Time
			}{"--since": {since, &q.Since}, "--until": {until, &q.Until}} {
				var err error
				if *at.into, err = readTime(at.text, time.Now()); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			if limit < 0 {
				return fmt.Errorf("-n is %d, expected 0 or more", limit)
			}
			layout, err := a.layout()
			if err != nil {
				return err
			}
			return listAudit(cmd, layout.Audit(), q, limit, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.User, "user", "", "of requests that this user has made: a name or an id")
	flags.StringVar(&outcome, "outcome", "", "that say that this became of a request")
	flags.StringVar(&request, "request", "", "of this request")
	flags.StringVar(&since, "since", "", "of this time or later")
	flags.StringVar(&until, "until", "", "of before this time")
	flags.IntVarP(&limit, "lines", "n", 0, "how many at most; 0 is all")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// listAudit prints page after page.
func listAudit(cmd *cobra.Command, dir string, q journal.Query, limit int, asJSON bool) error {
	for printed := 0; ; {
		q.Limit = 0
		if left := limit - printed; limit > 0 {
			q.Limit = min(left, journal.MaxFound)
		}
		page, err := journal.Search(cmd.Context(), dir, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(describe(r)))
			}
			if err != nil {
				return err
			}
		}
		printed += len(page.Records)
		if page.Next == 0 || limit > 0 && printed >= limit {
			return nil
		}
		q.After = page.Next
	}
}

// readTime reads a time as RFC 3339, a date of this machine's zone, or a duration
// before now; the zero time if there is none.
func readTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := readLength(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-ago), nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no time, expected one such as 2026-01-31T08:00:00Z, 2026-01-31 or 24h", text)
	}
	return at, nil
}
