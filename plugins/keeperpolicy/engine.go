package keeperpolicy

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// Config says where policies are, and with what they are read.
type Config struct {
	Root string // the agent root
	// Open opens the folder at path. Errors are those of Folder, or wrap
	// fs.ErrNotExist.
	Open func(path string) (Folder, error)
}

// engine answers questions from the set in force. Replacing the set never
// makes a question wait.
type engine struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	force atomic.Pointer[policy.Set] // nil while no set could be read
	// groups are the names of groups that the set in force uses; around is what
	// is looked at for each question.
	groups atomic.Pointer[[]string]
	around *surroundings
}

// load reads the policies and puts them in force. If a file is faulty, every
// fault is logged and the last good set stays in force; before there is one,
// everything is denied.
func (e *engine) load(enforceForAdministrators bool) bool {
	r := read(e.cfg)
	set, findings := r.engine.Compile(r.policies, machine(e.cfg.Root, r.collections, enforceForAdministrators))
	findings = append(r.findings, findings...)
	e.report(findings)
	// What reading left behind is many times what stays.
	defer debug.FreeOSMemory()
	if policy.Faulty(findings) {
		if e.force.Load() == nil {
			e.log.Error("policies cannot be used and there are no earlier ones: everything is denied")
		} else {
			e.log.Error("policies cannot be used: the last good ones stay in force")
		}
		return false
	}
	names := set.GroupNames()
	e.groups.Store(&names)
	e.force.Store(set)
	enforcing, monitoring := set.Size()
	e.log.Info("policies in force", "files", r.files, "enforcing", enforcing, "monitoring", monitoring)
	return true
}

func (e *engine) report(findings []policy.Finding) {
	for _, f := range findings {
		level := slog.LevelInfo
		switch f.Severity {
		case policy.Fault:
			level = slog.LevelError
		case policy.Doubt:
			level = slog.LevelWarn
		}
		e.log.Log(context.Background(), level, f.Error(), "severity", f.Severity.String())
	}
}

// maxNamed bounds the policies that an answer names: it must fit into a
// message however many apply.
const maxNamed = 100

const (
	unreadable = "The policies of this machine cannot be read, so everything is refused. Tell the person who manages them; KeeperPolicy's log names the fault."
	malformed  = "The question could not be understood, so it was refused."
)

// answer decides a question. What cannot be understood is denied, and the
// answer still echoes what could be read of it.
func (e *engine) answer(m wire.RequestMessage) (wire.PolicyRequest, wire.PolicyResponse) {
	var q wire.PolicyRequest
	err := m.Read(wire.TypePolicyRequest, &q)
	response := wire.PolicyResponse{RequestID: q.RequestID, SealDigest: q.SealDigest, Decision: core.Deny}
	set := e.force.Load()
	switch {
	case err != nil || q.UserID == noUser || len(q.Arguments) == 0:
		response.Message = malformed
	case set == nil:
		response.Message = unreadable
	default:
		asked, ok := e.question(q)
		if !ok {
			response.Message = malformed
			break
		}
		d := set.Decide(asked)
		response.Decision, response.Controls, response.Message = d.Outcome, d.Controls, d.Message
		response.Policies = d.Policies[:min(len(d.Policies), maxNamed)]
	}
	return q, response
}

// noUser is -1 as a uid: it means "leave as it is" to the kernel and is nobody
// (CVE-2019-14287).
const noUser core.UserID = "4294967295"

// question is q as the engine takes it, at this moment. It is false if the
// arguments cannot be read.
func (e *engine) question(q wire.PolicyRequest) (policy.Question, bool) {
	arguments, ok := wire.Argv(q.Arguments, q.ArgumentBytes)
	var groups []string
	if used := e.groups.Load(); used != nil {
		groups = e.around.groups.missingOf(*used)
		if len(groups) > 0 { // one that somebody is in is there
			groups = without(groups, func(name string) bool {
				return slices.Contains(q.GroupNames, name) || slices.Contains(q.DoubtfulGroupNames, name)
			})
		}
	}
	return policy.Question{
		Kind: q.EventType, User: q.UserID, UserName: q.UserName, OtherNames: q.OtherNames, Administrator: q.Administrator,
		Groups: q.Groups, GroupNames: q.GroupNames, DoubtfulGroups: q.DoubtfulGroups, DoubtfulGroupNames: q.DoubtfulGroupNames,
		GroupsUnknown: q.GroupsUnknown, MissingGroups: groups,
		Machine: q.MachineName, Path: q.FilePath, Requested: q.RequestedPath, Hash: q.FileHash, Arguments: arguments,
		Signers: q.Signers, SignersKnown: q.SignersKnown, Time: e.around.zone.of(e.now()),
	}, ok
}

// record logs a decision, and which monitoring policies it would have
// concerned. Arguments may hold secrets and stay out.
func (e *engine) record(q wire.PolicyRequest, r wire.PolicyResponse) {
	var by []string
	for _, ref := range r.Policies {
		by = append(by, ref.ID)
	}
	e.log.Info("decided", "request", string(q.RequestID), "user", q.UserName, "program", q.FilePath, "decision", string(r.Decision), "policies", by)
	set := e.force.Load()
	if set == nil {
		return
	}
	asked, _ := e.question(q)
	for _, ref := range set.Watching(asked) {
		e.log.Info("a monitoring policy is met", "request", string(q.RequestID), "policy", ref.ID, "user", q.UserName, "program", q.FilePath)
	}
}
