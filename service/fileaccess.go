package service

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
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
	s.rules = &said[core.FileRules]{
		what: "which files people are kept from", question: wire.FileRules(), take: s.files.SetRules, changed: make(chan struct{}, 1),
		pick: func(a wire.PolicyResponse) (*core.FileRules, string) { return a.FileRules, a.FileRulesDigest },
	}
	s.background(ctx, s.files.Serve)
	s.background(ctx, func(ctx context.Context) { s.rules.follow(ctx, (&bus{s}).List, s.log) })
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
