// Package approvals is what the tools have in common that show approvals and decide
// on them: how they ask the service, and how an approval is put in words.
//
// It decides nothing: who may do what is the service's to say, and it says so.
package approvals

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// Path is where the API has them.
const Path = "/api/approvals"

// Caller sends one request. client.Client is one.
type Caller interface {
	Call(ctx context.Context, method, path string, body []byte) (json.RawMessage, error)
}

// Decide has a verb done to one approval: approve, deny, extend or withdraw. It
// returns the service's own JSON. Errors are those of client.Client's Call.
func Decide(ctx context.Context, to Caller, id, verb string, answer view.ApprovalAnswer) (json.RawMessage, error) {
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	if verb == "withdraw" { // which says nothing
		body = nil
	}
	return to.Call(ctx, http.MethodPost, Path+"/"+url.PathEscape(id)+"/"+verb, body)
}

// One is the path of one approval.
func One(id string) string { return Path + "/" + url.PathEscape(id) }

// Minutes is d for the service, rounded up.
func Minutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

// Most is more minutes than the settings ever allow: for as long as they do.
const Most = 30 * 24 * 60

// State says where an approval stands.
func State(a *view.Approval) string {
	switch {
	case a.Used:
		return "used"
	case a.Withdrawn:
		return "withdrawn"
	}
	return string(a.Status)
}

// Left says for how long it waits or may be used, in words: "23 hours and 57
// minutes"; empty if it is over.
func Left(a *view.Approval) string {
	if a.ExpireIn == 0 {
		return ""
	}
	hours, minutes := a.ExpireIn/60, a.ExpireIn%60
	var parts []string
	if hours > 0 {
		parts = append(parts, count(hours, "hour"))
	}
	if minutes > 0 {
		parts = append(parts, count(minutes, "minute"))
	}
	return strings.Join(parts, " and ")
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// Command is the sealed program with its arguments, quoted, on one line: what
// somebody else has typed moves no cursor (W1).
func Command(platform core.Platform, a *view.Approval) string {
	argv := append([]string{}, a.Arguments...)
	if len(argv) > 0 {
		argv[0] = a.FilePath
	}
	return wire.Printable(wire.Quoted(platform, argv))
}

// Details are the lines of everything that an approver has to know: label and value.
func Details(platform core.Platform, a *view.Approval) [][]string {
	lines := [][]string{
		{"approval", a.ID}, {"state", State(a)}, {"runs", Command(platform, a)}, {"in", a.Directory}, {"as", a.TargetUser},
		{"requested by", fmt.Sprintf("%s (%s)", a.UserName, a.UserID)}, {"because", a.Justification},
		{"requested at", time.UnixMilli(a.Created).Local().Format(time.DateTime)},
	}
	if len(a.Arguments) > 0 && a.Arguments[0] != a.FilePath {
		lines = append(lines, []string{"called", a.Arguments[0]})
	}
	if left := Left(a); left != "" {
		lines = append(lines, []string{"expires in", left})
	}
	for _, rule := range a.Approvers {
		lines = append(lines, []string{"approvers", Whom(rule)})
	}
	for _, d := range a.Decisions {
		text := fmt.Sprintf("%s by %s at %s", d.Decision, d.Approver, time.UnixMilli(d.At).Local().Format(time.DateTime))
		if d.Comment != "" {
			text += ": " + d.Comment
		}
		lines = append(lines, []string{"decision", text})
	}
	return lines
}

// Whom says whom a policy names, and when its schedule approves instead.
func Whom(rule core.ApprovalRule) string {
	named := append([]string{}, rule.Users...)
	for _, group := range rule.Groups {
		named = append(named, "group "+group)
	}
	named = append(named, "administrators")
	text := fmt.Sprintf("%d of %s", rule.Number, strings.Join(named, ", "))
	if rule.Escalates() {
		later := append([]string{}, rule.EscalatedUsers...)
		for _, group := range rule.EscalatedGroups {
			later = append(later, "group "+group)
		}
		text += "; later also " + strings.Join(later, ", ")
	}
	if rule.Automatic != nil {
		text += "; until " + time.UnixMilli(rule.Automatic.Until).Local().Format(time.DateTime) + " by schedule: " + rule.Automatic.Schedule
	}
	if rule.Policy.ID != "" {
		text += fmt.Sprintf(" (policy %s)", rule.Policy.ID)
	}
	return text
}
