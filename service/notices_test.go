package service

import (
	"context"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/task"
	"kpm/launcher/approval"
	"kpm/platform/fake"
)

// Each hears their own, and whoever does not listen keeps nobody waiting.
func TestNoticesAreTheirOwners(t *testing.T) {
	n := newNotices()
	anna, stop, err := n.Listen("1000")
	if err != nil {
		t.Fatal(err)
	}
	ben, _, err := n.Listen("1001")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxWaiting {
		n.say("1000", view.Notice{ID: "A"})
	}
	if len(anna) != maxWaiting || len(ben) != 0 {
		t.Errorf("%d and %d wait", len(anna), len(ben))
	}
	for range maxOwnListeners - 1 {
		if _, _, err := n.Listen("1000"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := n.Listen("1000"); core.KindOf(err) != core.TooMany {
		t.Errorf("one too many: %v", err)
	}
	if _, _, err := n.Listen("1001"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	stop()
	if _, _, err := n.Listen("1000"); err != nil {
		t.Errorf("when one has gone: %v", err)
	}
}

func TestWhatARequesterHears(t *testing.T) {
	want := approval.Want{Path: "/usr/bin/\x1b[2Jid"}
	said := func(cause approval.Cause) []approval.Decision {
		return []approval.Decision{{Name: "ada", Cause: cause, Comment: "ticket 7"}}
	}
	for name, tc := range map[string]struct {
		state     approval.State
		decisions []approval.Decision
		kind      string // "" for nothing
		text      string
	}{
		"approved":        {approval.Approved, said(approval.Approve), view.NoticeApproved, "approval ID of /usr/bin/\ufffd[2Jid is given by ada: ticket 7; it may be run within 1h: keeperAgent --run ID"},
		"extended":        {approval.Approved, said(approval.Extend), "", ""},
		"refused":         {approval.Denied, said(approval.Deny), view.NoticeDenied, "approval ID of /usr/bin/\ufffd[2Jid is refused by ada: ticket 7"},
		"expired":         {approval.Expired, nil, view.NoticeExpired, "approval ID of /usr/bin/\ufffd[2Jid has expired"},
		"asked":           {approval.Pending, nil, "", ""},
		"one of two":      {approval.Pending, said(approval.Agree), "", ""},
		"used by oneself": {approval.Used, said(approval.Approve), "", ""},
		"withdrawn":       {approval.Withdrawn, nil, "", ""},
	} {
		one, is := approvalNotice(&approval.Record{ID: "ID", State: tc.state, Want: want, Decisions: tc.decisions}, time.Hour)
		if is != (tc.kind != "") || is && (one.Kind != tc.kind || one.Text != tc.text || one.ID != "ID") {
			t.Errorf("%s: %v %+v", name, is, one)
		}
	}
}

// saidBus keeps what is said.
type saidBus struct {
	task.Bus
	said []wire.RequestMessage
}

func (b *saidBus) Publish(_ context.Context, _ string, m wire.RequestMessage) error {
	b.said = append(b.said, m)
	return nil
}

// What a job says to somebody by name the bus keeps from others.
func TestWhomAJobTells(t *testing.T) {
	bus := &saidBus{}
	show := task.Notice(jobBus{bus, fake.Accounts{{User: "1000", Name: "ada"}}}, "toast")
	run := core.Principal{Kind: core.JobRun, Name: "j", Run: "r"}
	for name, want := range map[string]core.UserID{"ada": "1000", "": "", "mallory": "none"} {
		bus.said = nil
		_, err := show(t.Context(), run, map[string]any{"Message": "m", "UserName": name})
		if want == "none" {
			if err == nil || len(bus.said) > 0 {
				t.Errorf("%s: %v, said %v", name, err, bus.said)
			}
			continue
		}
		var n wire.Notice
		if err != nil || len(bus.said) != 1 || bus.said[0].Read(wire.TypeNotice, &n) != nil || n.UserID != want || n.UserName != name || n.Message != "m" {
			t.Errorf("%s: %v, said %+v", name, err, n)
		}
	}
}

// Heard implements task.Bus.
func (*saidBus) Heard(string) bool { return true }
