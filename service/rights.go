package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher"
	"kpm/launcher/rights"
	"kpm/settings"
)

// maxRights bounds the file that places in groups are kept in, in bytes.
const maxRights = 16 << 20

// rightsBook is who is in the groups of administrators as policy says; without a book
// where that cannot be read or changed.
type rightsBook struct {
	*rights.Book
	generation *atomic.Value // of the policies, as last heard: a string
}

// policy is told of the policies in force, often.
func (r rightsBook) policy(answer wire.PolicyResponse) {
	if r.Book == nil {
		return
	}
	r.Concerns(answer.Removals)
	if r.generation.Swap(answer.Generation) != answer.Generation || r.Failed() {
		r.Stir()
	}
}

// openRights reads what was taken and given. Rounds are made from serveRights on.
func (s *service) openRights() error {
	if _, err := s.host.Membership.Spare(); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	cfg := rightsConfig(s.host, s.layout, s.app.Rights, s.log.With("component", "rights"))
	cfg.EndOverdue = []string{s.layout.Manager(), "rights", "end-overdue", "--root", s.layout.Root()}
	cfg.Ask = func(ctx context.Context, member core.Account, groups []string) (core.Removal, error) {
		return s.launcher.Removal(ctx, member, groups)
	}
	cfg.Record = launcher.RecordRights(s.journal)
	cfg.Tell = s.tellRights
	book, err := rights.Open(cfg)
	if err != nil {
		s.log.Error("nobody is taken out of the groups of administrators, or put in for a time", "error", err)
		return nil
	}
	s.rights = rightsBook{book, &atomic.Value{}}
	return nil
}

// rightsConfig is what a book works with, in a service or without one.
func rightsConfig(host port.Host, layout settings.Layout, app settings.Rights, log *slog.Logger) rights.Config {
	groups := app.Groups
	if len(groups) == 0 {
		groups = host.Facts.AdministratorGroups
	}
	system := host.Facts.SystemAccount
	if system == nil {
		system = func(core.Account) bool { return false }
	}
	return rights.Config{
		File:       stateFile(host, layout.Rights(), maxRights),
		Membership: host.Membership, Accounts: host.Accounts, Clock: host.Clock, Alarms: host.Alarms,
		Groups: groups, Protected: app.Protected, System: system, TakeLast: app.TakeLast, Every: app.Every, Log: log,
	}
}

// serveRights makes rounds from now on: policy can be asked.
func (s *service) serveRights(ctx context.Context, _ Options) error {
	if s.rights.Book != nil {
		s.background(ctx, s.rights.Serve)
	}
	return nil
}

// tellRights tells the person, if they listen, and starts the job that tells those who
// look at a plugin's notices. The event is no evidence of anything: journal and file are.
func (s *service) tellRights(c rights.Change) {
	text, worth := rightsNotice(c)
	if !worth {
		return
	}
	s.notices.say(c.Place.User, view.Notice{Kind: view.NoticeRights, ID: c.Place.Group, Text: wire.Printable(text)})
	err := s.publish(context.Background(), wire.TopicEvents, wire.TypeEvent, wire.Event{Name: wire.EventRights, Context: map[string]any{
		"UserName": c.Place.Name, "GroupName": c.Place.Group, "Change": c.What, "Message": text,
	}}, "")
	if err != nil {
		s.log.Warn("somebody is not told of what became of their rights", "user", c.Place.Name, "error", err)
	}
}

// rightsNotice is what the person is told, if anything.
func rightsNotice(c rights.Change) (text string, worth bool) {
	switch c.What {
	case rights.TookAway:
		text = fmt.Sprintf("You are not an administrator of this machine any more (group %s). Use keepersudo for what needs an administrator's rights; keepersudo -l says what you may run.", c.Place.Group)
	case rights.GaveBack:
		text = fmt.Sprintf("You are an administrator of this machine again (group %s).", c.Place.Group)
	case rights.GaveTime:
		text = fmt.Sprintf("You are an administrator of this machine for a time (group %s): %s. It holds for new logins.", c.Place.Group, c.Why)
	case rights.TimeOver:
		text = fmt.Sprintf("Your time as an administrator of this machine is over (group %s): %s.", c.Place.Group, c.Why)
	case rights.WouldBe:
		for _, n := range c.Notices {
			text += n.Text + " "
		}
		return text, text != ""
	default:
		return "", false
	}
	return text, true
}

// places serves what was taken and given to the API.
type places struct{ rightsBook }

// List implements api.Rights.
func (p places) List(user core.UserID) view.Rights {
	shown := view.Rights{Taken: []view.Place{}, Given: []view.Place{}, Spared: []view.Place{}}
	if p.Book == nil {
		return shown
	}
	kept := p.Book.List(user)
	for _, t := range kept.Taken {
		shown.Taken = append(shown.Taken, view.Place{User: t.Name, UserID: t.User, Group: t.Group, At: t.At, Policies: t.Policies})
	}
	for _, g := range kept.Given {
		if g.Put {
			shown.Given = append(shown.Given, view.Place{User: g.Name, UserID: g.User, Group: g.Group, At: g.At, Policies: []core.PolicyRef{g.Policy}, Grant: g.Grant, Until: &g.Until})
		}
	}
	for _, s := range kept.Spared {
		shown.Spared = append(shown.Spared, view.Place{User: s.Name, UserID: s.User, Group: s.Group, At: s.At, By: s.By})
	}
	return shown
}

// Return implements api.Rights.
func (p places) Return(ctx context.Context, who string, by core.Principal) error {
	if p.Book == nil {
		return errNoRights
	}
	return p.Book.Return(ctx, who, by)
}

// Resume implements api.Rights.
func (p places) Resume(who string) error {
	if p.Book == nil {
		return errNoRights
	}
	return p.Book.Resume(who)
}

// Check implements api.Rights.
func (p places) Check(ctx context.Context) error {
	if p.Book == nil {
		return errNoRights
	}
	return p.Book.Round(ctx)
}

var errNoRights = core.NewError(core.Unsupported, "who is in a group of administrators cannot be changed here; the service's log says why")

// ErrRuns is wrapped when a service runs that would undo what is done without one.
var ErrRuns = core.NewError(core.Conflict, "the service runs")

// EndOverdue ends rights that were given for a time that is over, while no service of
// the agent root runs. One that runs does so by itself.
func EndOverdue(ctx context.Context, host port.Host, root string, log *slog.Logger) error {
	err := withoutService(host, root, log, func(b *rights.Book) error { return b.Overdue(ctx) })
	if errors.Is(err, ErrRuns) {
		return nil
	}
	return err
}

// GiveBack undoes what was done to people's rights: what policy has taken is theirs
// again, and what was given for a time has ended; to files' access control lists, which
// are as they were; and removes accounts that were made for commands, with what still
// runs as them. Errors wrap ErrRuns.
func GiveBack(ctx context.Context, host port.Host, root string, log *slog.Logger) error {
	err := withoutService(host, root, log, func(b *rights.Book) error { return b.Everything(ctx, "the agent is removed") })
	return errors.Join(err, giveFilesBack(host, root, log), removeAccounts(ctx, host, root, log))
}

// withoutService does something to the book of an agent root whose service does not run.
func withoutService(host port.Host, root string, log *slog.Logger, do func(*rights.Book) error) error {
	layout := settings.At(root, "")
	return whileStopped(host, root, layout.Rights(), func() error {
		app, err := settings.LoadApp(layout.AppSettings(), host.Files.ReadProtected)
		if err != nil { // what was taken goes back whatever the settings say
			app = settings.Default()
		}
		book, err := rights.Open(rightsConfig(host, layout, app.Rights, log))
		if err != nil {
			return err
		}
		return do(book)
	})
}

// whileStopped holds the agent root as a service does, if there is the file that says
// that there is something to undo.
func whileStopped(host port.Host, root, file string, do func() error) error {
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		return nil // nothing was ever done
	}
	if err := host.Files.ProtectedRoot(root); err != nil {
		return err
	}
	lock, err := host.Files.Lock(settings.At(root, "").Lock())
	if err != nil {
		return fmt.Errorf("%s: %w", root, ErrRuns)
	}
	return errors.Join(do(), lock.Close())
}
