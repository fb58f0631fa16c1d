package admincli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/policy"
	"kpm/core/wire"
)

func lintCommand(p *policies) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint [FILE|FOLDER...]",
		Short: "Say what is wrong with policies, or more than they look like",
		Long: `Say what is wrong with policies, or more than they look like. Of a folder every
.json file is read; without an argument, the agent root's policies are.

  fault           the file cannot be read, or the service will refuse it
  grants nothing  so the policy, or the part of it that is named; DENY and
                  controls apply
  note            something has no effect, or not the one it looks to have, or
                  a grant gives more than it looks to give

The exit status is 1 with a fault or a policy that grants nothing.`,
		Example: "  KeeperAdminCLI policy lint\n  KeeperAdminCLI policy lint new.json\n  KeeperAdminCLI policy lint --json --collections collections.json new/",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.read(cmd.Context(), args...)
			if err != nil {
				return err
			}
			findings := set.Review(time.Now())
			if err := printFindings(cmd.OutOrStdout(), set, findings, asJSON); err != nil {
				return err
			}
			if wrong(findings) {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// wrong reports whether a policy does not mean what it says.
func wrong(findings []policy.Finding) bool {
	return slices.ContainsFunc(findings, func(f policy.Finding) bool { return f.Severity != policy.Note })
}

// printFindings prints each with the line that it is about.
func printFindings(w io.Writer, set PolicySet, findings []policy.Finding, asJSON bool) error {
	if asJSON {
		return printJSON(w, append([]policy.Finding{}, findings...))
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%s: %s\n%s", f.Severity, f.Error(), set.Excerpt(f)); err != nil {
			return err
		}
	}
	if len(findings) == 0 {
		_, err := fmt.Fprintf(w, "%d policies, and nothing to say about them\n", len(set.Policies()))
		return err
	}
	return nil
}

// line is one printable line.
func line(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintln(w, wire.Printable(fmt.Sprintf(format, args...)))
	return err
}
