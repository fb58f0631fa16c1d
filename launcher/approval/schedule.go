package approval

import (
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// maxSchedule bounds what is kept of a schedule in words, in bytes.
const maxSchedule = 400

// scheduled says what becomes of a record that nobody has to decide on, since the
// schedule of each policy that asks is open. One without is enough for people to be
// asked, by all of them. The approval ends when the first of them closes, or as any
// other does if that is sooner.
func (w *Want) scheduled(now instant) (given func(*Record), automatic bool) {
	if len(w.Rules) == 0 {
		return nil, false
	}
	said := Decision{Cause: Schedule, At: now.wall}
	var names, schedules []string
	var closes time.Time
	for i, rule := range w.Rules {
		if rule.Automatic == nil {
			return nil, false
		}
		until := time.UnixMilli(rule.Automatic.Until)
		if !until.After(now.wall) {
			return nil, false
		}
		if i == 0 || until.Before(closes) {
			closes = until
		}
		names, schedules = append(names, rule.Policy.ID), append(schedules, rule.Automatic.Schedule)
		said.Rules = append(said.Rules, i)
	}
	said.Name = wire.Printable("the schedule of policy " + strings.Join(names, ", "))
	said.Comment = strings.ToValidUTF8(wire.Printable(strings.Join(schedules, "; ")), "")
	said.Comment = strings.ToValidUTF8(said.Comment[:min(len(said.Comment), maxSchedule)], "")
	return func(r *Record) {
		r.Decisions, r.Escalates = append(r.Decisions, said), nil
		r.Until = earlier(now, earlier(now, now.after(r.Usable), now.after(closes.Sub(now.wall))), r.Last)
	}, true
}

// withoutSchedules are rules as they are kept: what is open now says nothing later.
func withoutSchedules(rules []core.ApprovalRule) []core.ApprovalRule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Automatic = nil
	}
	return rules
}

// Automatic reports whether each policy that wants w approved says that its schedule is
// open.
func (w *Want) Automatic() bool {
	return len(w.Rules) > 0 && !slices.ContainsFunc(w.Rules, func(r core.ApprovalRule) bool { return r.Automatic == nil })
}
