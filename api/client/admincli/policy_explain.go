package admincli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client/approvals"
	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// explained is what "policy explain --json" prints.
type explained struct {
	Question wire.PolicyRequest `json:"question"`
	At       time.Time          `json:"at"`
	Decision decided            `json:"decision"`
	// Execution is what is decided when the program is started without keepersudo, where
	// programs are stopped before they run.
	Execution decided               `json:"execution"`
	Watching  *decided              `json:"monitoring,omitempty"`
	Policies  []policy.PolicyResult `json:"policies"`
	// Findings are those about policies that have something to say here.
	Findings []policy.Finding `json:"findings"`
}

// decided is an outcome with what it asks for and who says so.
type decided struct {
	Outcome  core.Outcome     `json:"outcome"`
	Controls []core.Control   `json:"controls"`
	Policies []core.PolicyRef `json:"policies"`
	Message  string           `json:"message,omitempty"`
	// Approvals say whom APPROVAL takes, and whether a schedule gives it at that time.
	Approvals []core.ApprovalRule `json:"approvals,omitempty"`
	// Children is what the command may start, Account as what account that is made for
	// it the command runs; both only if it is not denied.
	Children string               `json:"children,omitempty"`
	Account  *core.TransientTerms `json:"account,omitempty"`
	// Session is where it runs as whoever asks: User or UserDesktop; empty if it does not.
	Session string `json:"session,omitempty"`
}

func explainCommand(p *policies) *cobra.Command {
	var asJSON bool
	var who, target, at, machine, by string
	var filters map[string]string
	cmd := &cobra.Command{
		Use:   "explain [--user USER] [--target USER] [--at TIME] COMMAND [ARGUMENT...]",
		Short: "Say what would be decided about a command, and why",
		Long: `Say what would be decided about a command, and why: which policies are met, and
which are not because of which filter. It is the decision itself that is taken
apart, by the code that decides.

What a filter makes of the question:
  met         wholly: the policy may grant
  restricts   as far as DENY and required controls go, not as far as a grant
  not met     the policy has nothing to say

The user is taken to be in the groups that this machine's user database knows.
Signatures of the program are not read: a filter of signers restricts.

--at is a time on this machine's clock (2026-01-31T17:30, or 17:30 today), or in
RFC 3339 with a zone. Options stand before the command. The exit status is 0
whatever the decision, and 1 if the service does not use a file as it is.`,
		Example: "  KeeperAdminCLI policy explain --user alice systemctl restart nginx\n  KeeperAdminCLI policy explain --user alice --target postgres --at 22:30 psql\n  KeeperAdminCLI policy explain --json --policies new/ --user bob apt-get update",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			moment, err := parseTime(at, time.Now())
			if err != nil {
				return err
			}
			if who == "" {
				who = "#" + strconv.Itoa(os.Getuid())
			}
			set, err := p.read(cmd.Context())
			if err != nil {
				return err
			}
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			q, err := set.Ask(who, target, dir, args)
			if err != nil {
				return err
			}
			q.MachineName = cmp.Or(machine, q.MachineName)
			if !slices.Contains(core.Requesters(), core.Requester(by)) {
				return fmt.Errorf("--requested-by is %q, expected terminal, desktop, service or agent", by)
			}
			q.RequestedBy = core.Requester(by)
			answers, err := filtersOf(filters)
			if err != nil {
				return err
			}
			e, err := set.Explain(q, moment, answers)
			if err != nil {
				return err
			}
			findings := set.Review(moment)
			answer := explanationOf(q, moment, e, findings)
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), answer)
			} else {
				err = printExplanation(cmd.OutOrStdout(), answer)
			}
			return cmp.Or(err, unread(cmd, findings))
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the command is its own
	jsonFlag(cmd, &asJSON)
	flags.StringVar(&who, "user", "", "who asks: a name, or # and an id; you, if it is left out")
	flags.StringVar(&target, "target", "", "whom the command is to run as; root, if it is left out")
	flags.StringVar(&at, "at", "", "when; now, if it is left out")
	flags.StringVar(&by, "requested-by", string(core.ByTerminal), "who is behind the request: terminal, desktop, service or agent")
	flags.StringToStringVar(&filters, "filter", nil, "what a filter job says, JOB=passes or JOB=fails; jobs are not run, and others have not answered")
	flags.StringVar(&machine, "machine", "", "on which machine; this one, if it is left out")
	return cmd
}

// parseTime reads --at.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", text); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, now.Location()), nil
	}
	return now, fmt.Errorf("--at is %q, expected a time such as 17:30, 2026-01-31T17:30 or 2026-01-31T17:30:00+01:00", text)
}

func explanationOf(q wire.PolicyRequest, at time.Time, e policy.Explanation, findings []policy.Finding) explained {
	x := explained{
		Question: q, At: at, Policies: e.Policies, Findings: []policy.Finding{},
		Decision: decidedOf(e.Decision), Execution: decidedOf(e.Execution),
	}
	if e.Decision.Outcome != core.Deny {
		x.Decision.Children = e.Children.String()
	}
	if len(e.Watch.Policies) > 0 {
		x.Watching = &decided{Outcome: e.Watch.Outcome, Controls: append([]core.Control{}, e.Watch.Controls...), Policies: e.Watch.Policies, Message: noticesOf(e.Watch)}
	}
	for _, f := range findings {
		for _, r := range e.Policies {
			if f.File == r.File && f.Index == r.Index && (r.Result == policy.Met || r.Result == policy.Restricts) {
				x.Findings = append(x.Findings, f)
			}
		}
	}
	return x
}

func decidedOf(d core.Decision) decided {
	return decided{
		Outcome: d.Outcome, Controls: append([]core.Control{}, d.Controls...), Policies: append([]core.PolicyRef{}, d.Policies...), Message: d.Message,
		Approvals: d.Approvals, Account: d.Account, Session: d.Session,
	}
}

// noticesOf are what a person would be told.
func noticesOf(w core.Monitored) string {
	var texts []string
	for _, n := range w.Notices {
		texts = append(texts, n.Text)
	}
	return strings.Join(texts, "; ")
}

// filtersOf reads --filter JOB=passes and JOB=fails.
func filtersOf(given map[string]string) (map[string]bool, error) {
	filters := map[string]bool{}
	for job, what := range given {
		if what != "passes" && what != "fails" {
			return nil, fmt.Errorf("--filter %s is %q, expected passes or fails", job, what)
		}
		filters[job] = what == "passes"
	}
	return filters, nil
}

func printExplanation(w io.Writer, x explained) error {
	var b strings.Builder
	say := func(format string, args ...any) { b.WriteString(wire.Printable(fmt.Sprintf(format, args...)) + "\n") }
	say("%s asks to run %s as %s on %s at %s (%s)", x.Question.UserName, x.Question.FilePath, x.Question.TargetUser, x.Question.MachineName, x.At.Format("2006-01-02 15:04:05Z07:00 Monday"), cmp.Or(string(x.Question.RequestedBy), "nobody knows from where"))
	say("%s", summary(x.Decision))
	if x.Decision.Message != "" {
		say("  told: %s", x.Decision.Message)
	}
	for _, rule := range x.Decision.Approvals {
		say("  approved by: %s", approvals.Whom(rule))
	}
	if text := childrenText[x.Decision.Children]; text != "" {
		say("  %s", text)
	}
	if x.Decision.Account != nil {
		say("  runs as an account that is made for it, and not as %s", x.Question.TargetUser)
	}
	switch x.Decision.Session {
	case core.SessionAny:
		say("  runs as %s, in the login session that they ask from", x.Question.UserName)
	case core.SessionDesktop:
		say("  runs as %s, on their desktop", x.Question.UserName)
	}
	if x.Execution.Outcome != core.Allow {
		say("started without keepersudo, where programs are stopped before they run: %s", summary(x.Execution))
	}
	if x.Watching != nil {
		say("with what is monitoring: %s", summary(*x.Watching))
		if x.Watching.Message != "" {
			say("  told: %s", x.Watching.Message)
		}
	}
	for _, r := range x.Policies {
		say("")
		say("%s %s (%s, %s, %s): %s", r.Result, r.ID, cmp.Or(r.Type, "unknown type"), r.Status, r.File, r.Effect)
		for _, f := range r.Filters {
			wanted := strings.Join(f.Wanted, " ")
			say("  %-9s %s: wants %s, found %s", f.Result, f.Name, cmp.Or(wanted, "(empty)"), f.Found)
		}
	}
	for i, f := range x.Findings {
		if i == 0 {
			say("")
		}
		say("%s: %s", f.Severity, f.Error())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// childrenText says what a command may start, unless that is anything.
var childrenText = map[string]string{
	policy.ChildrenOwnRule.String(): "may start only what policies allow by themselves (own-rule); refused where nothing stops programs before they run",
	policy.ChildrenDenied.String():  "may start no other programs (deny); refused where nothing stops programs before they run",
}

func summary(d decided) string {
	text := string(d.Outcome)
	if len(d.Controls) > 0 {
		text += ": asks for " + strings.Join(strings.Fields(join(d.Controls)), ", ")
	}
	names := make([]string, len(d.Policies))
	for i, ref := range d.Policies {
		names[i] = ref.ID
	}
	if len(names) > 0 {
		text += ", by " + strings.Join(names, ", ")
	}
	return text
}
