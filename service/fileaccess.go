package service

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher"
	"kpm/launcher/approval"
	"kpm/launcher/fileaccess"
	"kpm/settings"
)

// maxFileAccess bounds the file that changed access control lists are kept in, in
// bytes.
const maxFileAccess = 64 << 20

// stateFile is a file in State of at most so many bytes.
func stateFile(host port.Host, path string, most int64) statefile.File {
	return statefile.File{
		Path: path, WriteAtomic: host.Files.WriteAtomic,
		Read: func(path string) ([]byte, error) { return host.Files.ReadProtected(path, most) },
	}
}

// newKeeper returns what keeps people from files.
func newKeeper(host port.Host, layout settings.Layout, record func(fileaccess.Event) error, log *slog.Logger) *fileaccess.Keeper {
	return fileaccess.Open(fileaccess.Config{
		File:  stateFile(host, layout.FileAccess(), maxFileAccess),
		Lists: host.AccessLists, Accounts: host.Accounts, Clock: host.Clock,
		Administrator: host.Facts.Administrator, Platform: host.Facts.Platform,
		Record: record, Log: log,
	})
}

// giveFilesBack gives every file back whose access control list was changed, while no
// service of the agent root runs. What it does is in the log: the journal is the
// service's, and goes with the agent.
func giveFilesBack(host port.Host, root string, log *slog.Logger) error {
	layout := settings.At(root, "")
	tell := func(e fileaccess.Event) error {
		log.Info(e.Message, "file", wire.PrintableLine(e.File), "what", string(e.What))
		return nil
	}
	return whileStopped(host, root, layout.FileAccess(), func() error { return newKeeper(host, layout, tell, log).GiveBack() })
}

// startFileAccess keeps people from the files that policy denies to them, from now on.
func (s *service) startFileAccess(ctx context.Context) {
	s.files = newKeeper(s.host, s.layout, launcher.RecordFileAccess(s.journal), s.log.With("component", "fileaccess"))
	s.rules = &fileRules{changed: make(chan struct{}, 1)}
	s.background(ctx, s.files.Serve)
	s.background(ctx, s.followRules)
}

// fileRules are those that KeeperPolicy has said last.
type fileRules struct {
	changed chan struct{}

	mu      sync.Mutex
	told    bool   // KeeperPolicy has said something
	inForce string // digest
	news    string // of what is to be asked for
	waiting string // id of the question on its way
	answer  chan core.FileRules
}

// digest is told with each answer to a probe what the rules are called now.
func (r *fileRules) digest(now string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told && now == r.inForce {
		return
	}
	r.news = now
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// answered takes the answer to the question, and reports whether it was that.
func (r *fileRules) answered(from core.Principal, id string, a wire.PolicyResponse) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == "" || id != r.waiting {
		return false
	}
	// The broker lets nobody else answer; it is asked again if somebody does.
	if isPolicy(from) && !from.InUserSession && a.FileRules != nil {
		r.waiting, r.inForce, r.told = "", a.FileRulesDigest, true
		r.answer <- *a.FileRules
	}
	return true
}

// rulesWithin is how long KeeperPolicy has to say what it keeps people from.
const rulesWithin = 5 * time.Second

// followRules asks for the rules when they are others. A machine without policies about
// files is not asked for any.
func (s *service) followRules(ctx context.Context) {
	for {
		select {
		case <-s.rules.changed:
		case <-ctx.Done():
			return
		}
		s.rules.mu.Lock()
		if s.rules.news == "" {
			s.rules.told, s.rules.inForce = true, ""
			s.rules.mu.Unlock()
			s.files.SetRules(core.FileRules{})
			continue
		}
		id, answer := rand.Text(), make(chan core.FileRules, 1)
		s.rules.waiting, s.rules.answer = id, answer
		s.rules.mu.Unlock()
		if err := (&bus{s}).List(ctx, id, wire.FileRules()); err != nil {
			s.log.Debug("policies about files cannot be asked for", "error", err)
			continue // the next probe has the digest again
		}
		select {
		case rules := <-answer:
			s.files.SetRules(rules)
		case <-time.After(rulesWithin):
			s.log.Warn("KeeperPolicy has not said which files it keeps people from; it is asked again")
		case <-ctx.Done():
			return
		}
	}
}

// fileGrants serves grants to the API.
type fileGrants struct{ *service }

var _ api.FileGrants = fileGrants{}

// List implements api.FileGrants.
func (f fileGrants) List(kind fileaccess.Kind, user core.UserID) []view.FileGrant {
	list := []view.FileGrant{}
	for _, g := range f.files.List(kind, user) {
		list = append(list, fileGrantView(g))
	}
	return list
}

func fileGrantView(g fileaccess.Shown) view.FileGrant {
	return view.FileGrant{
		ID: g.ID, User: g.UserName, UserID: g.User, FilePath: wire.PrintableLine(g.Ref.Path), Policies: append([]core.PolicyRef{}, g.Policies...),
		RequestID: g.Request, GivenBy: g.By, GivenAt: g.Given, Until: g.Until, SecondsLeft: max(0, int64(g.Left/time.Second)),
	}
}

// given is what a new grant looks like.
func given(g fileaccess.Grant, err error) (view.FileGrant, error) {
	if err != nil {
		return view.FileGrant{}, err
	}
	return fileGrantView(fileaccess.Shown{Grant: g, Left: time.Until(g.Until)}), nil
}

// Give implements api.FileGrants.
func (f fileGrants) Give(from core.Principal, request core.RequestID, length time.Duration) (view.FileGrant, error) {
	return given(f.launcher.GrantFile(from, request, length))
}

var errNotGrantJob = core.NewError(core.NotPermitted, "only a run of "+wire.EventGrantFileAccess+" that its own event has started may use an approval up")

// GiveApproved implements api.FileGrants. That it is that job, and that its own event has
// started it, which the service alone raises, is no evidence: the approval is.
func (f fileGrants) GiveApproved(from core.Principal, id string, length time.Duration) (view.FileGrant, error) {
	if from.Kind != core.JobRun || from.Name != wire.EventGrantFileAccess || from.InUserSession {
		return view.FileGrant{}, errNotGrantJob
	}
	r, err := f.approvals.UseFile(id)
	if err != nil {
		return view.FileGrant{}, err
	}
	account, err := f.host.Accounts.ByID(r.Want.User)
	if err != nil {
		return view.FileGrant{}, err
	}
	if length <= 0 {
		length = fileaccess.DefaultLength
	}
	if r.Want.Length > 0 {
		length = min(length, r.Want.Length)
	}
	var policies []core.PolicyRef
	for _, rule := range r.Want.Rules {
		policies = append(policies, rule.Policy)
	}
	return given(f.files.Give(fileaccess.Want{User: account, Path: r.Want.Path, Length: length, Policies: policies, By: approverOf(&r)}))
}

// approverOf is the principal who has decided last.
func approverOf(r *approval.Record) core.Principal {
	if n := len(r.Decisions); n > 0 {
		return core.Principal{Kind: core.User, User: r.Decisions[n-1].By}
	}
	return core.ServicePrincipal()
}

var errPath = core.NewError(core.Invalid, "FilePath is not an absolute path without . and ..")

// GiveTo implements api.FileGrants.
func (f fileGrants) GiveTo(by core.Principal, user, path string, length time.Duration) (view.FileGrant, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return view.FileGrant{}, errPath
	}
	account, err := f.host.Accounts.ByName(user)
	if err != nil {
		return view.FileGrant{}, fmt.Errorf("user %.64q: %w", user, err)
	}
	return given(f.files.Give(fileaccess.Want{User: account, Path: path, Length: length, By: by, Direct: true}))
}

// Revoke implements api.FileGrants.
func (f fileGrants) Revoke(kind fileaccess.Kind, id string, user core.UserID, by core.Principal) error {
	return f.files.Revoke(kind, id, user, by)
}

// CleanUp implements api.FileGrants.
func (f fileGrants) CleanUp(kind fileaccess.Kind) view.FileGrantsCleaned {
	ended, left := f.files.CleanUp(kind)
	return view.FileGrantsCleaned{Ended: ended, Left: left}
}

// Access implements api.FileGrants.
func (f fileGrants) Access() view.FileAccess { return f.files.Access() }
