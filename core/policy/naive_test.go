package policy

import (
	"encoding/json"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"kpm/core"
)

// naive decides as docs/policies.md says, and shares no code with the engine. It
// looks at every policy, at every filter, at the JSON itself, and knows two
// things of each: whether it restricts, and whether it grants.
type naive struct {
	links       map[string]string
	securePath  []string
	collections map[string]Collection
	missing     []string
	enforce     bool
}

// heard is how much a filter, or a policy, is met: what grants restricts as well.
type heard struct{ restricts, grants bool }

var (
	all   = heard{true, true}
	half  = heard{true, false}
	never = heard{}
)

func (h heard) and(o heard) heard {
	return heard{h.restricts && o.restricts, h.grants && o.grants}
}
func (h heard) or(o heard) heard { return heard{h.restricts || o.restricts, h.grants || o.grants} }

func yes(met bool) heard { return heard{met, met} }

func only(met bool) heard { return heard{met, false} }

// naiveKeys are the keys of the examples, "Description" among them.
var naiveKeys = []string{"policyid", "policyname", "policytype", "status", "actions", "usercheck", "machinecheck", "applicationcheck",
	"targetusercheck", "datecheck", "timecheck", "daycheck", "extension", "risklevel", "description"}

func (n *naive) decide(policies []string, q Question) core.Decision {
	if q.Administrator && !n.enforce {
		return core.Decision{Outcome: core.Allow}
	}
	var denying, demanding, granting []string
	demands, remembered := map[string]core.Demand{}, false
	approvals := map[string]core.ApprovalRule{}
	var controls []core.Control
	var grants []map[string]any
	for _, text := range policies {
		var p map[string]any
		if json.Unmarshal([]byte(text), &p) != nil {
			panic(text)
		}
		id, _ := p["PolicyId"].(string)
		met, list := n.policy(p, q)
		if !met.restricts {
			continue
		}
		if slices.Contains(list, "DENY") {
			denying = append(denying, id)
		}
		var asked bool
		demand := core.Demand{PolicyRef: core.PolicyRef{ID: id}}
		for _, c := range list {
			if c == "MFA" || c == "JUSTIFY" || c == "APPROVAL" {
				asked = true
				controls = append(controls, core.Control(c))
				demand.Controls = append(demand.Controls, core.Control(c))
			}
		}
		if asked {
			demanding = append(demanding, id)
			slices.Sort(demand.Controls)
			demand.Controls = slices.Compact(demand.Controls)
		}
		if met.grants && !slices.Contains(list, "DENY") && (asked || slices.Contains(list, "ALLOW")) {
			granting, grants = append(granting, id), append(grants, p)
			if asked {
				demand.Grant = naiveTerms(p)
				remembered = remembered || demand.Grant != nil
			}
		}
		demands[id] = demand
		if slices.Contains(list, "APPROVAL") {
			rule := core.ApprovalRule{Policy: core.PolicyRef{ID: id}, Number: 1}
			if met.grants && !slices.Contains(list, "DENY") {
				rule.Automatic = naiveAutomatic(p, q.Time)
			}
			approvals[id] = rule
		}
	}
	refs := func(ids []string) (list []core.PolicyRef) {
		sort.Strings(ids)
		for _, id := range ids {
			list = append(list, core.PolicyRef{ID: id})
		}
		return list
	}
	switch {
	case len(denying) > 0:
		return core.Decision{Outcome: core.Deny, Policies: refs(denying)}
	case len(granting) == 0:
		return core.Decision{Outcome: core.Deny}
	case len(controls) > 0:
		slices.Sort(controls)
		d := core.Decision{Outcome: core.Pending, Controls: slices.Compact(controls), Policies: refs(demanding), Account: naiveAccount(grants), Session: naiveSession(grants)}
		for _, ref := range d.Policies {
			if remembered {
				d.Demands = append(d.Demands, demands[ref.ID])
			}
			if rule, asks := approvals[ref.ID]; asks {
				d.Approvals = append(d.Approvals, rule)
			}
		}
		return d
	}
	return core.Decision{Outcome: core.Allow, Policies: refs(granting), Account: naiveAccount(grants), Session: naiveSession(grants)}
}

// policy says how much of it is met, and its controls.
func (n *naive) policy(p map[string]any, q Question) (heard, []string) {
	met, whole := all, true
	for key := range p {
		whole = whole && slices.Contains(naiveKeys, strings.ToLower(key))
	}
	kind, _ := p["PolicyType"].(string)
	switch kind {
	case "PrivilegeElevation", "CommandLine":
	case "FileAccess", "HttpAccess", "LeastPrivilege", "SettingsUpdate", "JobUpdate", "Custom":
		return never, nil
	default:
		whole = false
	}
	switch p["Status"] {
	case "enforce", "enabled", nil:
	case "off", "disabled", "monitor", "monitor_and_notify":
		return never, nil
	default:
		whole = false
	}
	var controls []string
	actions, _ := p["Actions"].(map[string]any)
	success, _ := actions["OnSuccess"].(map[string]any)
	list, _ := success["Controls"].([]any)
	for _, c := range list {
		switch text, _ := c.(string); text {
		case "ALLOW", "DENY", "MFA", "JUSTIFY", "APPROVAL", "NOTIFY", "AUDIT", "RECORD":
			controls = append(controls, text)
		default:
			whole = false
		}
	}
	commandLine := kind == "CommandLine"
	met = met.and(n.users(p["UserCheck"], q)).and(n.machines(p["MachineCheck"], q)).and(n.targets(p["TargetUserCheck"], q)).
		and(n.programs(p["ApplicationCheck"], commandLine || kind != "PrivilegeElevation", q)).and(n.times(p, q)).
		and(naiveExtension(p["Extension"], q)).and(n.commands(p["Extension"], commandLine, slices.Contains(controls, "DENY"), q)).and(risk100(p["RiskLevel"], q))
	if !whole {
		met.grants = false
	}
	return met, controls
}

func risk100(level any, q Question) heard {
	switch level := level.(type) {
	case nil:
		return all
	case float64:
		if level != float64(int(level)) || level < 0 || level > 100 {
			return half
		}
		if q.Risk != nil && float64(*q.Risk) > level {
			return half
		}
		return all
	}
	return half
}

// entries reads a filter; false if it cannot be read.
func entries(v any) (list []string, ok bool) {
	if v == nil {
		return nil, true
	}
	items, ok := v.([]any)
	for _, item := range items {
		text, isText := item.(string)
		if text = strings.TrimSpace(text); !isText || text == "" {
			return nil, false
		}
		list = append(list, text)
	}
	return list, ok
}

// uidLike is 22 characters of URL-safe base64.
var uidLike = regexp.MustCompile(`^[A-Za-z0-9_-]{22}(==)?$`)

// unfold replaces collections by their values; false if one cannot be resolved.
func (n *naive) unfold(list []string, kinds ...CollectionType) (values []string, ok bool) {
	for _, entry := range list {
		c, is := n.collections[entry]
		switch {
		case is && !slices.Contains(kinds, c.Type), !is && uidLike.MatchString(entry):
			return nil, false
		case is && c.Type == OfGroups:
			for _, v := range c.Values {
				values = append(values, "%"+v)
			}
		case is:
			values = append(values, c.Values...)
		default:
			values = append(values, entry)
		}
	}
	return values, true
}

func withoutDomain(name string) string {
	if i := strings.LastIndex(name, `\`); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	return name
}

func (n *naive) users(v any, q Question) heard {
	list, ok := entries(v)
	if ok {
		list, ok = n.unfold(list, OfUsers, OfGroups)
	}
	if !ok || len(list) == 0 && isEmpty(v) {
		return half
	}
	met := never
	for _, entry := range list {
		group, isGroup := strings.CutPrefix(entry, "%")
		switch {
		case entry == "*":
			met = met.or(all)
		case isGroup && slices.Contains(n.missing, group) && slices.Contains(q.MissingGroups, group):
			return half
		case isGroup && strings.HasPrefix(group, "#"):
			met = met.or(yes(slices.Contains(q.Groups, group[1:]))).or(only(slices.Contains(q.DoubtfulGroups, group[1:]) || q.GroupsUnknown))
		case isGroup && group != "" && !strings.ContainsAny(group, "*?%:"):
			met = met.or(yes(slices.Contains(q.GroupNames, group))).or(only(q.GroupsUnknown || slices.Contains(q.DoubtfulGroupNames, group)))
			for _, name := range append(slices.Clone(q.GroupNames), q.DoubtfulGroupNames...) {
				met = met.or(only(name != withoutDomain(name) && withoutDomain(name) == group))
			}
		case strings.HasPrefix(entry, "#") && len(entry) > 1:
			met = met.or(yes(entry[1:] == string(q.User)))
		case isGroup || strings.HasPrefix(entry, "#") || strings.ContainsAny(entry, "*?"):
			return half
		default:
			met = met.or(yes(entry == q.UserName)).or(only(entry == withoutDomain(q.UserName) || slices.Contains(q.OtherNames, entry)))
		}
	}
	// Group entries that are missing count whatever stands beside them.
	for _, entry := range list {
		if group, is := strings.CutPrefix(entry, "%"); is && slices.Contains(q.MissingGroups, group) {
			return half
		}
	}
	return met
}

func isEmpty(v any) bool {
	list, ok := v.([]any)
	return v == nil || ok && len(list) == 0
}

func (n *naive) targets(v any, q Question) heard {
	list, ok := entries(v)
	if ok {
		list, ok = n.unfold(list, OfUsers)
	}
	if !ok {
		return half
	}
	if isEmpty(v) {
		return heard{true, q.TargetAdministrator}
	}
	met := never
	for _, entry := range list {
		switch {
		case entry == "*":
			met = all
		case strings.HasPrefix(entry, "#") && len(entry) > 1:
			met = met.or(yes(entry[1:] == string(q.Target)))
		case strings.HasPrefix(entry, "#") || strings.HasPrefix(entry, "%") || strings.ContainsAny(entry, "*?"):
			return half
		default:
			met = met.or(yes(entry == q.TargetName)).or(only(entry == withoutDomain(q.TargetName)))
		}
	}
	return met
}

func (n *naive) machines(v any, q Question) heard {
	list, ok := entries(v)
	if ok {
		list, ok = n.unfold(list, OfMachines)
	}
	if !ok {
		return half
	}
	if isEmpty(v) {
		return all
	}
	here, met := strings.ToLower(q.Machine), never
	for _, entry := range list {
		entry = strings.ToLower(entry)
		if entry == "*" {
			return all
		}
		short := func(s string) string { label, _, _ := strings.Cut(s, "."); return label }
		met = met.or(yes(entry == here && here != "")).or(only(here == "" || entry == short(here) || here == short(entry)))
	}
	return met
}

func (n *naive) times(p map[string]any, q Question) heard {
	met := all
	if list, _ := p["DayCheck"].([]any); len(list) > 0 {
		met = met.and(yes(slices.Contains(list, any(float64(q.Time.Weekday())))))
	}
	if list, _ := p["DateCheck"].([]any); len(list) > 0 && list[0] != "*" {
		inside := false
		for _, item := range list {
			span, _ := item.(map[string]any)
			from, _ := span["StartDate"].(string)
			to, _ := span["EndDate"].(string)
			today := q.Time.Format(time.DateOnly)
			inside = inside || (from == "" || today >= from) && (to == "" || today <= to)
		}
		met = met.and(yes(inside))
	}
	if list, _ := p["TimeCheck"].([]any); len(list) > 0 && list[0] != "*" {
		inside := false
		for _, item := range list {
			span, _ := item.(map[string]any)
			from, to, now := hour(span["StartTime"], 0), hour(span["EndTime"], 24), q.Time.Hour()
			inside = inside || from < to && now >= from && now < to || to < from && (now >= from || now < to)
		}
		met = met.and(yes(inside))
	}
	return met
}
