package keeperpolicy

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
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
	// Reload has everything read again, whatever has changed; nil never does.
	Reload <-chan os.Signal
}

// engine answers questions from the set in force. Replacing the set never
// makes a question wait.
type engine struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	force atomic.Pointer[policy.Set] // nil while no set could be read
	fault atomic.Pointer[string]     // why there is none
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
			e.fault.Store(firstFault(findings))
			e.log.Error("policies cannot be used and there are no earlier ones: everything is denied")
		} else {
			e.log.Error("policies cannot be used: the last good ones stay in force")
		}
		return false
	}
	e.force.Store(set)
	enforcing, monitoring := set.Size()
	e.log.Info("policies in force", "files", r.files, "enforcing", enforcing, "monitoring", monitoring)
	return true
}

// maxFault bounds what a probe is told, in bytes.
const maxFault = 512

// firstFault says what keeps policies from being used.
func firstFault(findings []policy.Finding) *string {
	text := "the policies cannot be used"
	for _, f := range findings {
		if f.Severity == policy.Fault {
			text += ": " + f.Error()
			break
		}
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxFault)], "")
	return &text
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
	case err == nil && q.EventType == wire.EventProbe && q.RequestID == "":
		if fault := e.fault.Load(); set == nil && fault != nil {
			response.Fault = *fault
		}
	case err != nil || q.UserID == noUser || len(q.Arguments) == 0:
		response.Message = malformed
	case set == nil:
		response.Message = unreadable
	default:
		d := set.Decide(question(q, e.now()))
		response.Decision, response.Controls, response.Message = d.Outcome, d.Controls, d.Message
		response.Policies = d.Policies[:min(len(d.Policies), maxNamed)]
	}
	return q, response
}

// noUser is -1 as a uid: it means "leave as it is" to the kernel and is nobody
// (CVE-2019-14287).
const noUser core.UserID = "4294967295"

func question(q wire.PolicyRequest, now time.Time) policy.Question {
	return policy.Question{
		Kind: q.EventType, User: q.UserID, UserName: q.UserName, Groups: q.Groups, Administrator: q.Administrator,
		Machine: q.MachineName, Path: q.FilePath, Requested: q.RequestedPath, Hash: q.FileHash, Arguments: q.Arguments,
		Signers: q.Signers, SignersKnown: q.SignersKnown, Time: now,
	}
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
	for _, ref := range set.Watching(question(q, e.now())) {
		e.log.Info("a monitoring policy is met", "request", string(q.RequestID), "policy", ref.ID, "user", q.UserName, "program", q.FilePath)
	}
}
