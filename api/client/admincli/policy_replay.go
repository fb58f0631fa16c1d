package admincli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

// replayed is what the journal and a set of policies say about the past.
type replayed struct {
	Requests int       `json:"requests"` // that were decided
	Changed  []changed `json:"changed"`
	// Skipped are requests that cannot be asked again.
	Skipped int            `json:"skipped"`
	People  map[string]int `json:"people"` // how many changes each user would see
	// Monitored says of each policy that only watches how many requests it meets.
	Monitored map[string]monitoredPast `json:"monitored"`
}

// monitoredPast is what one policy that only watches makes of the past.
type monitoredPast struct {
	Met int `json:"met"`
	// Changes are those of which the outcome would be another if what watches were
	// enforced.
	Changes int `json:"changes"`
}

// changed is a request that would be decided otherwise.
type changed struct {
	Request core.RequestID `json:"request"`
	Time    time.Time      `json:"time"`
	User    string         `json:"user"`
	Target  string         `json:"target"`
	Program string         `json:"program"`
	Argv    []string       `json:"argv"`
	Was     decided        `json:"was"`
	Would   decided        `json:"would"`
	// Masked is true if the journal does not have all arguments: the answer may
	// be another.
	Masked bool `json:"masked,omitempty"`
}

func replayCommand(p *policies) *cobra.Command {
	var asJSON bool
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "replay [FILE|FOLDER...]",
		Short: "Say whose past requests a set of policies would have decided otherwise",
		Long: `Say whose past requests a set of policies would have decided otherwise: each
request of the journal is decided again, at its time, by the policies that are
named, and held against what was decided then. Without an argument they are those
of the agent root.

Users are taken to be in the groups that they are in now, and signatures are not
read again. Filter jobs are not run, and are taken to pass. Arguments that the journal masks are as it has them. The journal can
be read by root only. The exit status is 1 if something would change,
or the service does not use a file as it is.`,
		Example: "  KeeperAdminCLI policy replay new/\n  KeeperAdminCLI policy replay --since 720h new.json\n  KeeperAdminCLI policy replay --json new/ | jq .people",
		RunE: func(cmd *cobra.Command, args []string) error {
			layout, err := p.layout()
			if err != nil {
				return err
			}
			set, err := p.read(cmd.Context(), args...)
			if err != nil {
				return err
			}
			r := newReplayer(set)
			if since > 0 {
				r.since = time.Now().Add(-since)
			}
			err = journal.Tail(cmd.Context(), layout.Audit(), math.MaxInt, false, func(_ []byte, record journal.Record) error {
				r.take(record)
				return nil
			})
			if err == nil {
				err = cmd.Context().Err()
			}
			if err != nil {
				return err
			}
			if err := printReplay(cmd.OutOrStdout(), r.out, asJSON); err != nil {
				return err
			}
			if err := unread(cmd, set.Review(time.Now())); err != nil {
				return err
			}
			if len(r.out.Changed) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().Var(length{&since}, "since", "only requests of this long, such as 24h or 90d; 0 is all that the journal has")
	return cmd
}

// replayer decides again what the journal has.
type replayer struct {
	set   PolicySet
	since time.Time
	open  map[core.RequestID]journal.Record
	out   replayed
	// filters are all filter jobs, which are taken to pass.
	filters map[string]bool
}

func newReplayer(set PolicySet) *replayer {
	r := &replayer{
		set: set, open: map[core.RequestID]journal.Record{}, filters: map[string]bool{},
		out: replayed{Changed: []changed{}, People: map[string]int{}, Monitored: map[string]monitoredPast{}},
	}
	for _, p := range set.Policies() {
		if p.FilterJob != "" {
			r.filters[p.FilterJob] = true
		}
	}
	return r
}

// take takes the records in their order. What was decided is said by the first
// record after opened that has an outcome.
func (r *replayer) take(record journal.Record) {
	if record.Type == journal.Opened {
		r.open[record.Request] = record
		return
	}
	outcome, is := map[journal.Type]core.Outcome{
		journal.Allowed: core.Allow, journal.Pending: core.Pending, journal.Denied: core.Deny, journal.Failed: "", journal.Expired: "",
	}[record.Type]
	asked, known := r.open[record.Request]
	if !is || !known {
		return
	}
	delete(r.open, record.Request)
	// What the service refused by itself, no policy has decided.
	if outcome == "" || outcome == core.Deny && record.By != wire.PolicyPlugin || asked.Time.Before(r.since) {
		return
	}
	r.decide(asked, decidedOf(core.Decision{Outcome: outcome, Controls: record.Controls, Policies: record.Policies, Message: record.Message}))
}

func (r *replayer) decide(asked journal.Record, was decided) {
	if asked.Program == nil || len(asked.Argv) == 0 {
		r.out.Skipped++
		return
	}
	who := "#" + string(asked.UserID)
	q, err := r.set.Ask(who, "", "/", []string{asked.Program.Path})
	if err != nil { // no longer a user: only what the journal has is known
		q, err = r.set.Ask("#0", "", "/", []string{asked.Program.Path})
		q.Groups, q.GroupNames, q.GroupsUnknown = nil, nil, true
	}
	if err != nil {
		r.out.Skipped++
		return
	}
	q.UserName, q.UserID, q.Administrator = asked.User, asked.UserID, asked.UserID == "0"
	q.FilePath, q.RequestedPath, q.FileHash = asked.Program.Path, asked.Program.Requested, asked.Program.SHA256
	q.Signers, q.SignersKnown = asked.Program.Signers, asked.Program.SignersKnown
	q.TargetUser, q.TargetUserID, q.TargetIsAdministrator = asked.Target, asked.TargetID, asked.TargetID == "0"
	q.Arguments, q.ArgumentBytes, q.WorkingDirectory = asked.Argv, asked.ArgvBytes, asked.Directory
	if asked.Origin != nil {
		q.RequestedBy, q.Agent = asked.Origin.By, asked.Origin.Agent
	}
	e, err := r.set.Explain(q, asked.Time, r.filters)
	if err != nil {
		r.out.Skipped++
		return
	}
	r.out.Requests++
	for _, ref := range e.Watch.Policies {
		w := r.out.Monitored[ref.ID]
		w.Met++
		if e.Watch.Outcome != e.Decision.Outcome || !sameWords(e.Watch.Controls, e.Decision.Controls) {
			w.Changes++
		}
		r.out.Monitored[ref.ID] = w
	}
	would := decidedOf(e.Decision)
	if would.Outcome == was.Outcome && sameWords(would.Controls, was.Controls) {
		return
	}
	r.out.People[asked.User]++
	r.out.Changed = append(r.out.Changed, changed{
		Request: asked.Request, Time: asked.Time, User: asked.User, Target: asked.Target, Program: asked.Program.Path, Argv: asked.Argv,
		Was: was, Would: would, Masked: slices.ContainsFunc(asked.Argv, func(arg string) bool { return strings.HasSuffix(arg, "***") }),
	})
}

func printReplay(w io.Writer, r replayed, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	for _, c := range r.Changed {
		words := make([]string, len(c.Argv))
		for i, arg := range c.Argv {
			words[i] = word(arg)
		}
		masked := ""
		if c.Masked {
			masked = " (the journal masks arguments of it)"
		}
		if err := line(w, "%s %s %s as %s: %s%s", c.Time.Local().Format("2006-01-02 15:04:05"), c.Request, word(c.User), word(c.Target), strings.Join(words, " "), masked); err != nil {
			return err
		}
		if err := line(w, "  was %s; would be %s", summary(c.Was), summary(c.Would)); err != nil {
			return err
		}
	}
	for _, user := range slices.SortedFunc(maps.Keys(r.People), func(a, b string) int { return cmp.Or(cmp.Compare(r.People[b], r.People[a]), cmp.Compare(a, b)) }) {
		if err := line(w, "%s: %d would change", word(user), r.People[user]); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.Monitored)) {
		m := r.Monitored[id]
		if err := line(w, "monitoring policy %s: meets %d, and would change %d if it were enforced", word(id), m.Met, m.Changes); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%d requests, %d would change", r.Requests, len(r.Changed))
	if r.Skipped > 0 {
		text += fmt.Sprintf(", %d could not be asked again", r.Skipped)
	}
	return line(w, "%s", text)
}
