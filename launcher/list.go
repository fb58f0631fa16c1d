package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
)

// Bounds of the listings that are being made, of one user and of all: the policy
// plugin looks at every policy for each.
const (
	maxListings     = 8
	maxUserListings = 1
)

// maxListing bounds what a caller is told, in bytes: a frame holds no more.
const maxListing = door.MaxFrame - 1024

// listings are those that the policy plugin was asked for.
type listings struct {
	slots *fair.Slots[core.UserID]

	mu      sync.Mutex
	waiting map[string]chan wire.PolicyResponse
}

func newListings() *listings {
	return &listings{
		slots:   fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserListings, All: maxListings}),
		waiting: map[string]chan wire.PolicyResponse{},
	}
}

// list tells the caller what they may run, whom the kernel has named; or an
// administrator what somebody else may. It opens no request, and moves none.
//
// Attack: one user asks a hundred times at once. Whom to ask for more is looked up, in
// a directory too, in the one place that each has.
func (l *Launcher) list(ctx context.Context, submitted Submission) Result {
	ctx, cancel := context.WithTimeout(ctx, l.limits().Evaluate)
	defer cancel()
	slot, refused := l.listingPlace(ctx, &submitted)
	if refused != nil {
		return Result{Refused: refused}
	}
	defer slot.Release()
	who, permitted, refused := l.askPermissions(ctx, &submitted)
	if refused != nil {
		return Result{Refused: refused}
	}
	login := submitted.Peer.Login
	if submitted.ListFor != "" {
		login = "" // whoever asks is not who would run it
	}
	text, err := l.listing(ctx, who.Caller, login, permitted, submitted.JSON)
	if err != nil || len(text) > maxListing {
		return Result{Refused: unlisted("There is more than can be shown.")}
	}
	return Result{Listing: text}
}

// permissions asks KeeperPolicy what the caller may run.
func (l *Launcher) permissions(ctx context.Context, submitted Submission) (core.Subject, core.Listing, *refusal.Refusal) {
	ctx, cancel := context.WithTimeout(ctx, l.limits().Evaluate)
	defer cancel()
	slot, refused := l.listingPlace(ctx, &submitted)
	if refused != nil {
		return core.Subject{}, core.Listing{}, refused
	}
	defer slot.Release()
	return l.askPermissions(ctx, &submitted)
}

// listingPlace waits for a place among those who are being told.
func (l *Launcher) listingPlace(ctx context.Context, submitted *Submission) (*fair.Slot[core.UserID], *refusal.Refusal) {
	slot, err := l.listings.slots.Take(ctx, l.cfg.People.Of(submitted.Peer.Payer()), 1)
	if err != nil {
		return nil, refusal.New(door.CodeUnavailable, "others are being told what they may run: try again in a moment")
	}
	return slot, nil
}

func (l *Launcher) askPermissions(ctx context.Context, submitted *Submission) (core.Subject, core.Listing, *refusal.Refusal) {
	who, behind, err := l.listed(submitted)
	if err != nil {
		return who, core.Listing{}, refusal.Of(err)
	}
	q := wire.PolicyRequest{
		EventType: wire.EventList, RequestedBy: behind.By, Agent: behind.Agent,
		UserID: who.Caller.User, UserName: who.Caller.Name, OtherNames: who.Caller.OtherNames, Administrator: who.Administrator,
		Groups: who.Membership.IDs, GroupNames: who.Membership.Names,
		DoubtfulGroups: who.Membership.DoubtfulIDs, DoubtfulGroupNames: who.Membership.DoubtfulNames, GroupsUnknown: who.Membership.Unknown,
		MachineName: l.cfg.Machine(), Arguments: []string{}, FilePath: "/",
	}
	switch a, err := l.Consult(ctx, q); {
	case err != nil:
		l.cfg.Log.Warn("the policy plugin cannot be asked for a listing", "error", err)
		return who, core.Listing{}, unlisted("")
	case a.Listing == nil:
		return who, core.Listing{}, unlisted(wire.Printable(a.Message))
	default:
		return who, *a.Listing, nil
	}
}

// listed is who a listing is of, and who is behind them. Of whoever has not asked nobody
// knows that: they are taken to sit at a terminal.
//
// Attack: a user asks what others may run, to find whom to attack (CVE-2025-46718 of
// sudo-rs), or who there is. Whoever is no administrator is told the same whomever they
// name.
func (l *Launcher) listed(submitted *Submission) (core.Subject, core.Origin, error) {
	who, err := l.cfg.Sealer.Who(submitted.Peer)
	if err != nil || submitted.ListFor == "" {
		return who, l.behind(submitted), err
	}
	if !who.Administrator {
		return who, core.Origin{}, refusal.New(door.CodeDenied, "what others may run is told to administrators: keepersudo -l shows what you may")
	}
	who, err = l.cfg.Sealer.Named(submitted.ListFor)
	return who, core.Origin{By: core.ByTerminal}, err
}

func unlisted(why string) *refusal.Refusal {
	if why == "" {
		why = "The policy plugin does not answer: try again in a moment."
	}
	return refusal.New(door.CodeUnavailable, "what you may run cannot be told. %s", why)
}

// expect opens the one place for an answer.
func (s *listings) expect(id string) <-chan wire.PolicyResponse {
	answer := make(chan wire.PolicyResponse, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[id] = answer
	return answer
}

func (s *listings) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

// PolicyListed is the answer to a question called id, if that was for a listing:
// it reports false if it was not. The first answer counts. It is about no request,
// whatever it says. Errors wrap ErrNotPermitted.
func (l *Launcher) PolicyListed(from core.Principal, id string, a wire.PolicyResponse) (bool, error) {
	s := l.listings
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, is := s.waiting[id]
	if !is {
		return false, nil
	}
	if !request.Policy.Is(from, "") {
		return true, fmt.Errorf("launcher: listing answered by %s: %w", from, ErrNotPermitted)
	}
	answer <- a // there is room: nobody finds it again
	delete(s.waiting, id)
	return true, nil
}

// permitted is a permission as keepersudo -l --json has it.
type permitted struct {
	core.Permission
	// Satisfiable is false if it asks for what nothing here verifies: what it meets
	// is refused.
	Satisfiable bool `json:"satisfiable"`
	// Whom says in words who can approve; empty if nobody has to.
	Whom string `json:"whom,omitempty"`
}

// permitted completes p for caller, who has come by a login of login's.
func (l *Launcher) permitted(p core.Permission, caller core.Account, login core.UserID) permitted {
	is := permitted{Permission: p, Satisfiable: len(l.unverified(p.Controls)) == 0}
	if p.Approval != nil && l.cfg.Approvals != nil {
		is.Whom = l.cfg.Approvals.Whom(&approval.Want{User: caller.User, Name: caller.Name, Login: login, Rules: []core.ApprovalRule{*p.Approval}})
	}
	return is
}

// contacts are whom caller asks for what no policy allows.
func (l *Launcher) contacts(ctx context.Context, caller core.Account) []string {
	if l.cfg.Contacts == nil {
		return []string{}
	}
	return append([]string{}, l.cfg.Contacts(ctx, caller)...) // never null
}

// listing words what somebody may run.
func (l *Launcher) listing(ctx context.Context, caller core.Account, login core.UserID, list core.Listing, asJSON bool) (string, error) {
	user, machine, grants := caller.Name, l.cfg.Machine(), l.grantsOf(caller.User)
	all := make([]permitted, len(list.Permissions))
	for i, p := range list.Permissions {
		all[i] = l.permitted(p, caller, login)
	}
	if asJSON {
		text, err := json.Marshal(struct {
			User       string      `json:"user"`
			Machine    string      `json:"machine"`
			Everything bool        `json:"everything"`
			Policies   []permitted `json:"policies"`
			More       int         `json:"more,omitempty"`
			// Ask are whom to ask for what no policy allows.
			Ask []string `json:"ask"`
			// Grants are what need not be asked again for a time.
			Grants []view.Grant `json:"grants"`
		}{user, machine, list.Everything, all, list.More, l.contacts(ctx, caller), grants})
		return string(text) + "\n", err
	}
	if list.Everything {
		return fmt.Sprintf("%s may run everything on %s: the administrator is not subject to policy.\n", user, machine), nil
	}
	var b strings.Builder
	say := func(format string, args ...any) { b.WriteString(wire.Printable(fmt.Sprintf(format, args...)) + "\n") }
	if slices.ContainsFunc(all, func(p permitted) bool { return p.Grants }) {
		say("%s may run on %s, at this moment:", user, machine)
	} else {
		say("No policy allows %s anything on %s at this moment. If you need something, ask %s.", user, machine, named(l.contacts(ctx, caller)))
	}
	for _, p := range all {
		if p.Grants {
			l.say(say, p)
		}
	}
	l.others(say, all, "whatever allows them, these are refused:", func(p permitted) bool { return p.Denies })
	l.others(say, all, "whatever allows them, these ask for more:", func(p permitted) bool { return !p.Grants && !p.Denies })
	if list.More > 0 {
		say("and %d more policies", list.More)
	}
	for i, g := range grants {
		if i == 0 {
			say("need not be asked again for a time:")
		}
		say("  %s", inWords(g))
	}
	return b.String(), nil
}

// named is whom to ask, in words.
func named(contacts []string) string {
	if len(contacts) == 0 {
		return "the person who manages this machine's policies"
	}
	return strings.Join(contacts, ", or ")
}

// others words those of all that are chosen, below a line of their own.
func (l *Launcher) others(say func(string, ...any), all []permitted, head string, chosen func(permitted) bool) {
	for first, i := true, 0; i < len(all); i++ {
		if !chosen(all[i]) {
			continue
		}
		if first {
			say("%s", head)
			first = false
		}
		l.say(say, all[i])
	}
}

// say words one permission.
func (l *Launcher) say(say func(string, ...any), p permitted) {
	what, target := p.Commands, strings.Join(p.Targets, ", ")
	if len(what) == 0 {
		what = p.Programs
	}
	switch {
	case target == "*" || target == "" && !p.Grants:
		target = "anybody"
	case target == "":
		target = "the administrator"
	}
	text := strings.Join(what, "; ")
	if text == "*" {
		text = "every program"
	}
	if p.Signed {
		text += " (of certain signers)"
	}
	say("  as %s: %s", target, text)
	if len(p.Controls) > 0 && !p.Denies {
		say("    asks for: %s", l.asks(p.Controls))
		if p.Whom != "" {
			say("    approved by: %s", p.Whom)
		}
		if p.For != "" && l.cfg.Grants != nil && l.cfg.Grants.Err() == nil {
			say("    which may be remembered for %s (keepersudo --for)", p.For)
		}
	}
	name := p.Name
	if name == "" {
		name = p.ID
	}
	say("    by policy: %s", name)
}

// asks says in words what controls ask of a person.
func (l *Launcher) asks(list []core.Control) string {
	var texts []string
	for _, c := range list {
		text := string(c)
		for _, row := range l.cfg.Table {
			if row.Name == c && row.Asked != "" {
				text += " (" + strings.TrimSuffix(row.Asked, ".") + ")"
			}
		}
		if len(l.unverified([]core.Control{c})) > 0 {
			text += ", which nothing here can verify yet, so that it is refused"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}
