package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kpm/core"
)

// Keys of the policy model and of what real tools write beside it. A key that
// is none of these is ignored with a note, unless it is one slip away from one
// of them, or names a filter that this release does not know.
var (
	policyKeys = []string{
		"PolicyId", "PolicyName", "PolicyType", "Status", "Actions", "NotificationMessage",
		"NotificationRequiresAcknowledge", "RiskLevel", "Operator", "Rules", "UserCheck", "MachineCheck",
		"ApplicationCheck", "DateCheck", "TimeCheck", "DayCheck", "CertificationCheck", "Extension",
		"Controls", "Filters", // the minimal layout
		"OnSuccess", // left at the root by an editor; ignored
		"numberRequiredApprovers", "isApprovalLimitOneTime", "oneTimeApprovalLimit", "approvalLimitRange",
		"approvers", "disabled", // what the server keeps beside the policy
	}
	actionKeys  = []string{"OnSuccess", "OnFailure"}
	successKeys = []string{"Controls"}
	ruleKeys    = []string{"RuleName", "ErrorMessage", "RuleExpressionType", "Expression", "Operator", "Expressions"}
	filterKeys  = []string{"UserCheck", "MachineCheck", "ApplicationCheck"}

	controls = []core.Control{
		core.ControlAllow, core.ControlDeny, core.ControlMFA, core.ControlJustify,
		core.ControlApproval, core.ControlNotify, core.ControlAudit, core.ControlRecord,
	}
	// otherTypes are documented, but say nothing about an elevation.
	otherTypes = []string{
		"LeastPrivilege", "FileAccess", "HttpAccess", "SettingsUpdate", "JobUpdate", "UpdateSettings", "Custom",
	}
	expressions = []string{
		"CheckUser()", "CheckMachine()", "CheckFile(false)", "CheckDate()", "CheckTime()", "CheckDay()",
		"CheckCertificate()", "CheckCertificate(false)", "CheckCertificate(true)",
	}
)

// Parse reads a policy file: one policy, or an array of them (decision 5).
// file is its name in findings. If any finding is a Fault, the policies must
// not be used: the file does not say what its author meant.
func Parse(file string, data []byte) ([]Policy, []Finding) {
	r := &reader{file: file}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > MaxFile:
		r.fault(nil, "", fmt.Sprintf("%d bytes", len(data)), fmt.Sprintf("at most %d", MaxFile), "split the file")
		return nil, r.findings
	case !utf8.Valid(data):
		r.fault(nil, "", "text that is not UTF-8", "UTF-8", "save the file as UTF-8")
		return nil, r.findings
	}
	top, err := root(data)
	if err != nil {
		r.fault(nil, "", "no valid JSON ("+err.Error()+")", "one policy, or an array of policies", "mend the JSON")
		return nil, r.findings
	}
	if !top.isArray() {
		p := r.policy(top)
		return []Policy{p}, r.findings
	}
	items, ok := top.items(maxPolicies)
	if !ok {
		r.fault(&top, "", "more policies", fmt.Sprintf("at most %d in one file", maxPolicies), "split the file")
	}
	policies := make([]Policy, 0, len(items))
	for i, item := range items {
		r.index, r.id = i, ""
		policies = append(policies, r.policy(item))
	}
	return policies, r.findings
}

// reader collects findings while it reads one policy after the other.
type reader struct {
	file     string
	index    int
	id       string
	doubtful bool
	findings []Finding
}

func (r *reader) find(s Severity, n *node, path, found, expected, remedy string) {
	f := Finding{
		Severity: s, File: r.file, Policy: r.id, Index: r.index, Path: path,
		Found: found, Expected: expected, Remedy: remedy,
	}
	if n != nil {
		f.Line = n.line()
	}
	r.findings = append(r.findings, f)
	r.doubtful = r.doubtful || s == Doubt
}

func (r *reader) fault(n *node, path, found, expected, remedy string) {
	r.find(Fault, n, path, found, expected, remedy)
}

func (r *reader) doubt(n *node, path, found, expected, remedy string) {
	r.find(Doubt, n, path, found, expected, remedy)
}

func (r *reader) note(n *node, path, found, expected, remedy string) {
	r.find(Note, n, path, found, expected, remedy)
}

func (r *reader) policy(n node) Policy {
	p := Policy{File: r.file, Index: r.index, Status: Enforce}
	r.doubtful = false
	first := len(r.findings)
	f := r.object(n, "$", policyKeys)
	p.ID, p.Name = r.text(f, "PolicyId"), r.text(f, "PolicyName")
	if p.ID == "" {
		p.ID = p.Name
	}
	if p.ID == "" {
		r.fault(&n, "$.PolicyId", "none", "a name that refusals and the journal can cite", `add "PolicyId": "..."`)
	}
	if len(p.ID) > maxName || len(p.Name) > maxName {
		r.fault(&n, "$.PolicyId", "an id or a name of more bytes", fmt.Sprintf("at most %d", maxName), "shorten PolicyId or PolicyName")
	}
	r.id = p.ID
	for i := range r.findings[first:] {
		r.findings[first+i].Policy = p.ID
	}
	if !r.policyType(&p, f) {
		return p
	}
	r.status(&p, f)
	r.controls(&p, f)
	r.rules(f)
	r.filters(&p, f)
	r.extension(&p, f)
	r.remarks(f)
	p.Doubtful = r.doubtful
	return p
}

// policyType reports whether the policy is about elevations.
func (r *reader) policyType(p *Policy, f fields) bool {
	n, given := f.get("PolicyType")
	text := r.text(f, "PolicyType")
	for _, known := range []string{TypePrivilegeElevation, TypeCommandLine} {
		if foldEqual(text, known) {
			p.Type = known
			return true
		}
	}
	for _, known := range otherTypes {
		if foldEqual(text, known) {
			p.Type = known
			r.note(&n, "$.PolicyType", known, "PrivilegeElevation or CommandLine",
				"policies of this type are known, and say nothing about elevations")
			return false
		}
	}
	found := "none"
	if given {
		found = quote(text)
	}
	r.fault(f.at(n, given), "$.PolicyType", found, "a documented policy type", "PrivilegeElevation and CommandLine govern elevations")
	return false
}

func (r *reader) status(p *Policy, f fields) {
	n, given := f.get("Status")
	switch text := r.text(f, "Status"); strings.ToLower(text) {
	case "off", "disabled":
		p.Status = Off
	case "monitor":
		p.Status = Monitor
	case "monitor_and_notify":
		p.Status = MonitorAndNotify
	case "enforce", "enabled":
	case "": // tools create policies enforcing
	default:
		r.doubt(f.at(n, given), "$.Status", quote(text), "off, monitor, monitor_and_notify or enforce", "")
	}
	if n, given := f.get("disabled"); given && !n.isNull() {
		if !n.isBool() {
			r.fault(&n, "$.disabled", n.describe(), "true or false", "")
		} else if n.text() == "true" {
			p.Status = Off
		}
	}
}

// controls reads Actions.OnSuccess.Controls, or Controls of the minimal layout.
// A slip in one of these names is followed, so that a DENY below it is seen.
func (r *reader) controls(p *Policy, f fields) {
	var lists int
	add := func(f fields, path string) {
		n, given := f.near("Controls")
		if !given || n.isNull() {
			return
		}
		lists++
		for i, text := range r.texts(n, path) {
			at := slices.IndexFunc(controls, func(c core.Control) bool { return foldEqual(string(c), text) })
			if at < 0 {
				r.doubt(&n, element(path, i), quote(text), "one of ALLOW, DENY, MFA, JUSTIFY, APPROVAL, NOTIFY, AUDIT, RECORD", "")
				continue
			}
			p.Controls = append(p.Controls, controls[at])
		}
	}
	add(f, "$.Controls")
	if actions, given := f.near("Actions"); given && !actions.isNull() {
		a := r.object(actions, "$.Actions", actionKeys)
		if success, given := a.near("OnSuccess"); given && !success.isNull() {
			add(r.object(success, "$.Actions.OnSuccess", successKeys), "$.Actions.OnSuccess.Controls")
		}
		if n, given := a.get("OnFailure"); given && !n.isNull() {
			failure := r.object(n, "$.Actions.OnFailure", []string{"Command"})
			if r.text(failure, "Command") != "" {
				r.note(&n, "$.Actions.OnFailure.Command", "a command", "none", "it is never run")
			}
		}
	}
	switch {
	case lists > 1:
		r.doubt(nil, "$.Controls", "two lists of controls", "one", "keep Actions.OnSuccess.Controls and drop Controls")
	case len(p.Controls) == 0 && !r.doubtful:
		r.note(nil, "$.Actions.OnSuccess.Controls", "no control", "at least one", "as it stands, the policy does nothing")
	}
}

// rules checks that every rule is one whose meaning we know. What a known rule
// restricts is said by its filter, which counts with or without the rule.
func (r *reader) rules(f fields) {
	r.operator(f, "$.Operator")
	n, given := f.get("Rules")
	if !given || n.isNull() {
		return
	}
	for i, item := range r.items(n, "$.Rules") {
		path := element("$.Rules", i)
		rule := r.object(item, path, ruleKeys)
		r.operator(rule, path+".Operator")
		if kind := r.text(rule, "RuleExpressionType"); kind != "" && !foldEqual(kind, "BuiltInAction") {
			r.doubt(&item, path+".RuleExpressionType", quote(kind), "BuiltInAction", "")
		}
		list, minimal := rule.get("Expressions")
		expression, written := rule.get("Expression")
		switch {
		case minimal && !list.isNull():
			if len(r.items(list, path+".Expressions")) > 0 {
				r.doubt(&list, path+".Expressions", "expressions", "none", "say it with filters, or with Extension.AllowCommands")
			}
		case !written:
			r.doubt(&item, path+".Expression", "none", strings.Join(expressions[:7], ", "), "")
		default:
			text := strings.Join(strings.Fields(r.text(rule, "Expression")), "")
			if !slices.ContainsFunc(expressions, func(known string) bool { return foldEqual(known, text) }) {
				r.doubt(&expression, path+".Expression", quote(text), strings.Join(expressions[:7], ", "), "")
			}
		}
	}
}

func (r *reader) operator(f fields, path string) {
	if n, given := f.get("Operator"); given {
		if text := r.text(f, "Operator"); text != "" && !foldEqual(text, "And") {
			r.doubt(&n, path, quote(text), "And", "")
		}
	}
}

// extension reads what a type adds. A key that we do not know may restrict, and
// we cannot know how: the policy grants nothing.
func (r *reader) extension(p *Policy, f fields) {
	n, given := f.get("Extension")
	if !given || n.isNull() {
		return
	}
	known := []string{"AllowCommands", "CustomFilterJobId"}
	list, ok := r.members(n, "$.Extension")
	if !ok {
		return
	}
	e := r.collect(list, "$.Extension", known, false)
	for _, m := range list {
		if !slices.ContainsFunc(known, func(k string) bool { return foldEqual(k, m.key) }) {
			r.doubt(&m.value, "$.Extension."+m.key, "a key of unknown effect", "AllowCommands", "")
		}
	}
	if r.text(e, "CustomFilterJobId") != "" {
		n, _ := e.get("CustomFilterJobId")
		r.doubt(&n, "$.Extension.CustomFilterJobId", "a filter job", "none", "this release runs no filter jobs")
	}
	if n, given := e.get("AllowCommands"); given && !n.isNull() {
		p.Commands = append([]string{}, r.texts(n, "$.Extension.AllowCommands")...)
		switch {
		case p.Type != TypeCommandLine:
			r.doubt(&n, "$.Extension.AllowCommands", "an allow list in a "+p.Type+" policy", "one of type CommandLine", "")
		case len(p.Commands) == 0:
			r.doubt(&n, "$.Extension.AllowCommands", "an empty list", "commands", "leave the key out to mean all commands")
		}
	}
}

// remarks notes what was read and has no effect here.
func (r *reader) remarks(f fields) {
	if n, given := f.get("RiskLevel"); given && !n.isNull() {
		level, err := strconv.Atoi(n.text())
		if !n.isNumber() || err != nil || level < 0 || level > 100 {
			r.fault(&n, "$.RiskLevel", n.describe(), "a whole number from 0 to 100", "")
		}
	}
	if n, given := f.get("NotificationRequiresAcknowledge"); given && !n.isNull() && !n.isBool() {
		r.fault(&n, "$.NotificationRequiresAcknowledge", n.describe(), "true or false", "")
	}
	r.text(f, "NotificationMessage")
}
