package admincli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/api/client"
	"kpm/core"
	"kpm/core/policy"
	"kpm/core/view"
	"kpm/launcher/journal"
	"kpm/trust/identity"
)

const (
	refusalsShown  = 5
	recordsLooked  = 1000 // the last ones of the journal, for refusals
	whenShown      = time.DateTime
	statusNameSize = 12
)

// more is what root is shown besides.
type more struct {
	Service  *view.Overview   `json:"service,omitempty"`
	Identity *identity.Status `json:"identity,omitempty"`
	Policies *policyCount     `json:"policies,omitempty"`
	Refusals []refusedRequest `json:"refusals,omitempty"` // the last ones, newest first
}

// policyCount counts the policies in the files.
type policyCount struct {
	ByStatus map[policy.Status]int `json:"byStatus"`
	// Faulty do not mean what they say: "policy lint" has more.
	Faulty int `json:"faulty"`
}

// refusedRequest is one that was not carried out.
type refusedRequest struct {
	Time    time.Time      `json:"time"`
	Request core.RequestID `json:"request"`
	User    string         `json:"user"`
	Program string         `json:"program"`
	Outcome journal.Type   `json:"outcome"`
	Message string         `json:"message,omitempty"`
}

// more looks into what only root may see. What cannot be had is left out: its own
// command says why.
func (e *endpoint) more(ctx context.Context) (more, error) {
	var m more
	var overview view.Overview
	err := e.get(ctx, "/api/system/overview", &overview)
	var r *client.Refusal
	if errors.As(err, &r) || errors.Is(err, client.ErrNotRunning) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Service = &overview
	if e.port != 0 || e.url != "" {
		return m, nil // what lies in files here may be another agent's
	}
	layout, err := e.layout()
	if err != nil {
		return m, err
	}
	if key, err := e.machineKey(); err == nil {
		if s, err := identity.Inspect(ctx, key.Config); err == nil {
			m.Identity = &s
		}
	}
	set := e.Policies(PolicyFiles{Root: layout.Root(), Paths: []string{layout.Policies()}})
	m.Policies = countPolicies(set)
	m.Refusals, _ = lastRefusals(ctx, layout.Audit()) // "audit tail" says what is wrong with the journal
	return m, ctx.Err()
}

func countPolicies(set PolicySet) *policyCount {
	count := &policyCount{ByStatus: map[policy.Status]int{}}
	for _, p := range set.Policies() {
		count.ByStatus[p.Status]++
	}
	faulty := map[string]bool{}
	for _, f := range set.Review(time.Now()) {
		if f.Severity != policy.Note {
			faulty[fmt.Sprint(f.File, " ", f.Index)] = true
		}
	}
	count.Faulty = len(faulty)
	return count
}

// lastRefusals are the last requests that were not carried out, newest first.
func lastRefusals(ctx context.Context, dir string) ([]refusedRequest, error) {
	asked := map[core.RequestID]journal.Record{}
	var list []refusedRequest
	err := journal.Tail(ctx, dir, recordsLooked, false, func(_ []byte, r journal.Record) error {
		switch r.Type {
		case journal.Opened:
			asked[r.Request] = r
		case journal.Denied, journal.Expired, journal.Failed:
			opened := asked[r.Request]
			one := refusedRequest{Time: r.Time, Request: r.Request, User: opened.User, Outcome: r.Type, Message: r.Message}
			if opened.Program != nil {
				one.Program = opened.Program.Path
			}
			if one.Message == "" && len(r.Policies) > 0 {
				one.Message = "policy " + r.Policies[0].Name
			}
			if list = append(list, one); len(list) > refusalsShown {
				list = list[1:]
			}
		}
		return nil
	})
	slices.Reverse(list)
	return list, err
}

// lines are m for people, a thing a line.
func (m more) lines(now time.Time) (lines []string) {
	add := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-*s ", statusNameSize, name)+fmt.Sprintf(format, args...))
	}
	if s := m.Service; s != nil {
		add("service", "process %d, up %s, in %s", s.ProcessID, time.Duration(s.UptimeSeconds)*time.Second, s.Root)
		add("ports", "HTTP %s, HTTPS %s, MQTT %s; %d requests open", held(s.HTTP), held(s.HTTPS), held(s.MQTT), s.Open)
		if c := s.Certificate; c != nil {
			add("certificate", "%s, until %s", c.Subject, c.NotAfter.Local().Format(whenShown))
		} else {
			add("certificate", "none: HTTPS and MQTT over TLS do not serve")
		}
		add("journal", "%s", journalLine(s.Journal, now))
		add("programs", "%s", programsLine(s.Executions))
	}
	if i := m.Identity; i != nil {
		text := i.State
		if i.KeyID != "" {
			text += fmt.Sprintf(", %s, key %.16s", i.Assurance, i.KeyID)
		}
		add("identity", "%s", text)
		for _, p := range i.Problems {
			add("", "%s", p)
		}
	}
	if p := m.Policies; p != nil {
		var parts []string
		total := 0
		for _, status := range []policy.Status{policy.Enforce, policy.Monitor, policy.MonitorAndNotify, policy.Off} {
			if n := p.ByStatus[status]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, status))
			}
			total += p.ByStatus[status]
		}
		if p.Faulty > 0 {
			parts = append(parts, fmt.Sprintf("%d faulty (KeeperAdminCLI policy lint)", p.Faulty))
		}
		add("policies", "%s", strings.TrimSuffix(fmt.Sprintf("%d: %s", total, strings.Join(parts, ", ")), ": "))
	}
	for i, r := range m.Refusals {
		name := "refused"
		if i > 0 {
			name = ""
		}
		add(name, "%s %s %s: %s", r.Time.Local().Format(whenShown), word(r.User), word(r.Program), strings.TrimSuffix(string(r.Outcome)+": "+r.Message, ": "))
	}
	return lines
}

func held(port int) string {
	if port == 0 {
		return "not held"
	}
	return fmt.Sprint(port)
}

// programsLine says whether programs are stopped before they run.
func programsLine(x view.Executions) string {
	switch {
	case x.Running:
		return "stopped before they run where policies say which may"
	case x.On && x.Fault != "":
		return "NOT STOPPED before they run: " + x.Fault
	case x.On:
		return "what stops them before they run is being started"
	case x.Needed:
		return "not stopped before they run, though policies say which may: Interception:Executions is off"
	}
	return "not stopped before they run: Interception:Executions is off"
}

func journalLine(j view.JournalState, now time.Time) string {
	text := fmt.Sprintf("records %d to %d in %d segments", j.First, j.Last, j.Segments)
	switch {
	case !j.Writable:
		text += ", CANNOT BE WRITTEN: " + j.Fault
	case j.Signed == 0:
		text += ", not signed yet"
	default:
		text += fmt.Sprintf(", signed up to %d %s ago", j.Signed, now.Sub(j.SignedAt).Round(time.Second))
	}
	return text
}
