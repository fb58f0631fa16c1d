package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

var approverKeys = []string{"users", "teams", "escalatedUsers", "escalatedTeams"}

// approvers reads whom a policy with APPROVAL names: "approvers" and
// "numberRequiredApprovers", which the published model keeps beside the policy.
// Without them administrators approve. Of a policy without APPROVAL they say
// nothing, and nobody looks into them.
func (r *reader) approvers(p *Policy, f fields) {
	if !slices.Contains(p.Controls, core.ControlApproval) {
		return
	}
	rule := core.ApprovalRule{Number: 1}
	p.Approval = &rule
	if v, given := f.filled("approvers"); given {
		a := r.object(v, "$.approvers", approverKeys)
		r.approverList(&rule.Users, &rule.Groups, a, "users")
		r.approverList(&rule.Groups, &rule.Groups, a, "teams")
		r.approverList(&rule.EscalatedUsers, &rule.EscalatedGroups, a, "escalatedUsers")
		r.approverList(&rule.EscalatedGroups, &rule.EscalatedGroups, a, "escalatedTeams")
	}
	v, given := f.filled("numberRequiredApprovers")
	if !given {
		return
	}
	n, err := strconv.Atoi(v.Text())
	switch {
	case v.IsString() && foldEqual(v.Text(), "all") && len(rule.Users) > 0 && len(rule.Groups) == 0:
		rule.Number = len(rule.Users)
	case v.IsString() || !v.IsNumber() || err != nil || n < 0 || n > core.MaxApprovers:
		rule.Number = core.MaxApprovers // nobody knows how many were meant: this lets nothing pass
		r.doubt(v, "$.numberRequiredApprovers", describe(v), fmt.Sprintf(`a whole number from 1 to %d, or "all" beside approvers.users alone`, core.MaxApprovers), "")
	default:
		rule.Number = max(1, n) // tools write 0 where nobody has chosen
		if named := len(rule.Users); len(rule.Groups) == 0 && named > 0 && n > named {
			r.note(v, "$.numberRequiredApprovers", fmt.Sprintf("%d of %d approvers", n, named), "as many as are named, or fewer",
				"administrators have to make up the difference")
		}
	}
}

// approverList reads one list: users by name or "#id", or, for teams and behind
// "%", groups by name or "#gid".
func (r *reader) approverList(into, groups *[]string, f fields, key string) {
	v, given := f.filled(key)
	if !given {
		return
	}
	path := "$.approvers." + key
	items, _ := r.items(v, path)
	if len(items) > core.MaxApprovers {
		r.doubt(v, path, fmt.Sprintf("%d entries", len(items)), fmt.Sprintf("at most %d", core.MaxApprovers), "name a group")
		return
	}
	for i, item := range items {
		r.approver(into, groups, item, fault.Item(path, i))
	}
}

func (r *reader) approver(into, groups *[]string, item strictjson.Value, at string) {
	if item.IsNumber() {
		r.note(item, at, "a number", "a name, or \"#id\"", "it is somebody of the backend's, whom this machine does not know: nobody here is meant by it")
		return
	}
	text, problem := plain(item)
	if problem != "" {
		r.string(item, at) // says it
		return
	}
	if group, isGroup := strings.CutPrefix(text, "%"); isGroup {
		text, into = group, groups
	}
	switch {
	case text == "" || text == "#" || len(text) > maxName || strings.ContainsAny(text, "*?%"):
		r.doubt(item, at, fault.Text(text), `a name, "#id", or "%group"`, "whoever is to approve has to be named")
	default:
		*into = append(*into, text)
	}
}
