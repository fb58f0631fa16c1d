package policy

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"kpm/core"
	"kpm/core/span"
)

// drawExtension draws what every policy may have in Extension.
func drawExtension(t *rapid.T) map[string]any {
	e := map[string]any{}
	draw := func(key string, one int, from ...any) {
		if rapid.IntRange(1, one).Draw(t, key+" is there") == 1 {
			e[key] = rapid.SampledFrom(from).Draw(t, key)
		}
	}
	draw("RequestedBy", 8, []any{"terminal"}, []any{"terminal"}, []any{"terminal", "desktop", "agent"}, []any{"terminal", "desktop"}, []any{"agent", "terminal"}, []any{"Service"}, []any{"people"}, []any{}, "terminal")
	draw("CustomFilterJobId", 10, "office", "ticket", "ticket", "nobody-runs-it", "../escape")
	draw("ChildProcesses", 10, "inherit", "inherit", "own-rule", "deny", "perhaps")
	draw("Grant", 3, map[string]any{"For": "30m"}, map[string]any{"For": "30m"}, map[string]any{"For": "2h", "Uses": 1}, map[string]any{"For": "45s"}, map[string]any{"For": "1h", "Uses": 3, "PerDay": "2h", "CoolDown": "90s", "Renewals": 2, "Covers": "policy", "Automatic": true}, map[string]any{"For": "1h", "Covers": "administrator"},
		map[string]any{"For": "30"}, map[string]any{"For": 0}, map[string]any{"For": "0m"}, map[string]any{"Uses": 3}, map[string]any{"For": "30m", "Uses": 0}, map[string]any{"For": "30m", "Covers": "all"})
	draw("EphemeralAccount", 6, true, false, map[string]any{"Groups": []any{"adm", "ops"}}, map[string]any{"Groups": []any{"ops"}}, map[string]any{"Groups": "adm"}, "yes", 1)
	draw("UserSession", 8, "User", "UserDesktop", "User", "Desktop", true)
	draw("AutomaticApproval", 4, naiveWindows...)
	return e
}

var naiveDuration = regexp.MustCompile(`^(\d+)([smhd])$`)

// naiveSpan reads what drawExtension writes; false for what is no duration.
func naiveSpan(v any) (span.Span, bool) {
	text, _ := v.(string)
	found := naiveDuration.FindStringSubmatch(text)
	if v == nil {
		return 0, true
	}
	if found == nil {
		return 0, false
	}
	n, err := strconv.Atoi(found[1])
	unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[found[2]]
	return span.Span(time.Duration(n) * unit), err == nil && n > 0
}

// naiveGrant reads Grant; false if it costs the policy its grant.
func naiveGrant(v any) (*core.GrantTerms, bool) {
	if v == nil {
		return nil, true
	}
	g := v.(map[string]any)
	var terms core.GrantTerms
	var ok [3]bool
	terms.For, ok[0] = naiveSpan(g["For"])
	terms.PerDay, ok[1] = naiveSpan(g["PerDay"])
	terms.CoolDown, ok[2] = naiveSpan(g["CoolDown"])
	count := func(v any) int {
		if n, is := v.(float64); is && n > 0 {
			return int(n)
		} else if v != nil {
			ok[0] = false
		}
		return 0
	}
	terms.Uses, terms.Renewals = count(g["Uses"]), count(g["Renewals"])
	terms.Automatic, _ = g["Automatic"].(bool)
	switch g["Covers"] {
	case nil, "command":
	case "policy":
		terms.Everything = true
	case "administrator":
		terms.Everything, terms.Administrator = true, true
	default:
		ok[0] = false
	}
	return &terms, terms.For > 0 && ok[0] && ok[1] && ok[2]
}

// naiveTerms are those of a policy that grants.
func naiveTerms(p map[string]any) *core.GrantTerms {
	e, _ := p["Extension"].(map[string]any)
	terms, _ := naiveGrant(e["Grant"])
	if words, _ := e["RequestedBy"].([]any); terms != nil {
		terms.Agents = slices.Contains(words, "agent")
	}
	return terms
}

// naiveExtension holds RequestedBy and CustomFilterJobId against a question, and
// says what the rest costs.
func naiveExtension(v any, q Question) heard {
	e, _ := v.(map[string]any)
	met := all
	if _, ok := naiveGrant(e["Grant"]); !ok {
		met = half
	}
	if _, ok := naiveGroups(e["EphemeralAccount"]); !ok {
		met = half
	}
	switch e["UserSession"] {
	case nil, "User", "UserDesktop":
	default:
		met = half
	}
	if _, ok := naiveWindow(e["AutomaticApproval"]); !ok {
		met = half
	}
	switch e["ChildProcesses"] {
	case nil, "inherit", "own-rule", "deny":
	default:
		met = half
	}
	switch words, isList := e["RequestedBy"].([]any); {
	case e["RequestedBy"] == nil:
	case !isList || len(words) == 0 || words[0] == "people":
		met = half.and(met)
	case q.RequestedBy == core.ByUnknown:
		met = half.and(met)
	default:
		by := string(q.RequestedBy)
		met = met.and(yes(slices.Contains(words, any(by)) || by == "service" && words[0] == "Service"))
	}
	job, _ := e["CustomFilterJobId"].(string)
	switch answer := q.FilterAnswers[job]; {
	case job == "" || answer == FilterPassed:
	case answer == FilterFailed:
		met = never
	default: // nobody has run it
		met = half.and(met)
	}
	return met
}
