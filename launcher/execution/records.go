package execution

import (
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/fair"
	"kpm/launcher/journal"
)

// Causes of records about executions.
const (
	causeChild      = "child"       // of an elevated command
	causeFile       = "file-access" // by a policy of that type
	causeUnanswered = "unanswered"  // it went on without a decision
	causeLifted     = "lifted"      // nothing is stopped for now
)

// Bounds of records: each execution of one person's that is like another one is written
// once a minute, and of all together so many. Attack: who may execute files can do so
// all day.
const (
	maxRecords = 240  // at once
	recordsDay = 4000 // of one person
)

// records writes decisions to the journal.
type records struct {
	cfg      Config
	mentions *fair.Mentions
	rate     *fair.Rate[core.UserID]
}

func newRecords(cfg Config) *records {
	return &records{cfg: cfg, mentions: fair.NewMentions(), rate: fair.NewRate[core.UserID](recordsDay/(24*time.Hour).Seconds(), maxRecords)}
}

// decided writes a decision: those about children of elevated commands, and other
// refusals.
func (r *records) decided(person core.UserID, q question, d ruling) {
	if d.cause == "" {
		return
	}
	outcome := core.Deny
	if d.allow {
		outcome = core.Allow
	}
	r.append(person, q, journal.Record{
		Type: journal.Execution, Request: d.request, Cause: d.cause, Outcome: outcome, User: d.user,
		Policies: d.answer.Policies, Controls: d.answer.Controls, Message: d.answer.Message,
	})
}

// unanswered writes that count executions went on; q is one of them.
func (r *records) unanswered(person core.UserID, q question, count int, request core.RequestID) {
	r.cfg.Log.Warn("executions went on without a decision", "count", count, "program", q.Path, "user", q.User)
	r.append(person, q, journal.Record{
		Type: journal.Execution, Request: request, Cause: causeUnanswered, Outcome: core.Allow, User: r.cfg.Name(q.User), Count: count,
		Message: fmt.Sprintf("no decision within %s", Deadline),
	})
}

// lifted writes that nothing is stopped until there is another Holder.
func (r *records) lifted(why error) {
	r.write(journal.Record{Type: journal.Execution, Cause: causeLifted, Outcome: core.Allow, Message: why.Error()})
}

func (r *records) append(person core.UserID, q question, rec journal.Record) {
	worth, silent := r.mentions.Worth(person, string(rec.Request)+rec.Cause+string(rec.Outcome)+q.Path)
	if !worth || r.rate.Take(person, 1) > 0 {
		return
	}
	rec.UserID, rec.Count = q.User, max(rec.Count, silent+1)
	rec.Child = &journal.Child{PID: q.PID, Group: q.Group}
	rec.Program = &core.Executable{Requested: base(q), Path: q.Path, SHA256: q.Hash}
	r.write(rec)
}

func (r *records) write(rec journal.Record) {
	if err := r.cfg.Append(rec); err != nil {
		r.cfg.Log.Error("an execution is not in the journal", "cause", rec.Cause, "error", err)
	}
}
