package policy

import (
	"slices"
	"strings"

	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

var (
	actionKeys  = []string{"OnSuccess", "OnFailure"}
	successKeys = []string{"Controls"}
	ruleKeys    = []string{"RuleName", "ErrorMessage", "RuleExpressionType", "Expression", "Operator", "Expressions"}

	expressions = []string{
		"CheckUser()", "CheckMachine()", "CheckFile(false)", "CheckDate()", "CheckTime()", "CheckDay()",
		"CheckCertificate()", "CheckCertificate(false)", "CheckCertificate(true)",
	}
)

// controls reads Actions.OnSuccess.Controls, or Controls of the minimal layout.
// A slip in one of these names is followed, and what is given twice is read twice,
// so that a DENY in it is seen.
func (r *reader) controls(p *Policy, f fields) {
	var lists int
	add := func(f fields, path string) {
		for _, v := range f.every("Controls") {
			lists++
			r.controlList(p, v, path)
		}
	}
	add(f, "$.Controls")
	for _, actions := range f.every("Actions") {
		a := r.object(actions, "$.Actions", actionKeys)
		for _, success := range a.every("OnSuccess") {
			add(r.object(success, "$.Actions.OnSuccess", successKeys), "$.Actions.OnSuccess.Controls")
		}
		if v, given := a.filled("OnFailure"); given {
			failure := r.object(v, "$.Actions.OnFailure", []string{"Command"})
			if r.text(failure, "Command") != "" {
				r.note(v, "$.Actions.OnFailure.Command", "a command", "none", "it is never run")
			}
		}
	}
	switch {
	case lists > 1:
		r.doubt(nowhere, "$.Controls", "two lists of controls", "one", "keep Actions.OnSuccess.Controls and drop Controls")
	case len(p.Controls) == 0 && !r.doubtful && !r.kept:
		r.note(nowhere, "$.Actions.OnSuccess.Controls", "no control", "at least one", "as it stands, the policy does nothing")
	}
	r.strayControls(p, f)
}

// strayControls looks at what the vendor's editor leaves at the root, beside Actions.
// It counts for nothing: an author who meant to restrict by it is told.
func (r *reader) strayControls(p *Policy, f fields) {
	v, given := f.filled("OnSuccess")
	if !given {
		return
	}
	quiet, stray := *r, Policy{}
	quiet.findings = nil
	for _, list := range quiet.object(v, "$.OnSuccess", successKeys).every("Controls") {
		quiet.controlList(&stray, list, "$.OnSuccess.Controls")
	}
	for _, control := range stray.Controls {
		if r.table.Effect(control) != controls.Grants && !slices.Contains(p.Controls, control) {
			r.note(v, "$.OnSuccess", fault.Text(string(control))+", which Actions do not have", "it in Actions.OnSuccess", "here it counts for nothing")
			return
		}
	}
}

// controlList reads an array of controls or, as the vendor's tool writes it, one
// string with a control on each line.
func (r *reader) controlList(p *Policy, v strictjson.Value, path string) {
	if v.IsString() {
		r.controlLines(p, v, r.string(v, path), path)
		return
	}
	items, _ := r.items(v, path)
	for i, item := range items {
		text, problem := plain(item)
		switch at := fault.Item(path, i); {
		case problem != "":
			r.string(item, at) // says it
		case strings.TrimSpace(text) == "":
			r.doubt(item, at, "an empty string", "an entry", "remove it")
		default:
			r.controlLines(p, item, text, at)
		}
	}
}

func (r *reader) controlLines(p *Policy, v strictjson.Value, text, path string) {
	for line := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == '\n' || c == '\r' }) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if control, known := r.table.Parse(line); known {
			p.Controls = append(p.Controls, control)
			continue
		}
		r.doubt(v, path, fault.Text(line), "one of "+r.table.String(), "")
		// "DENY, NOTIFY" is nothing that we read, and still no ALLOW.
		for word := range strings.FieldsFuncSeq(line, func(c rune) bool { return strings.ContainsRune(" \t,;|", c) }) {
			if control, known := r.table.Parse(word); known {
				p.Controls = append(p.Controls, control)
			}
		}
	}
}

// rules checks that every rule is one whose meaning we know. What a known rule
// restricts is said by its filter, which counts with or without the rule.
func (r *reader) rules(f fields) {
	r.operator(f, "$.Operator")
	v, given := f.filled("Rules")
	if !given {
		return
	}
	items, _ := r.items(v, "$.Rules")
	for i, item := range items {
		path := fault.Item("$.Rules", i)
		rule := r.object(item, path, ruleKeys)
		r.operator(rule, path+".Operator")
		if kind := r.text(rule, "RuleExpressionType"); kind != "" && !foldEqual(kind, "BuiltInAction") {
			r.doubt(item, path+".RuleExpressionType", fault.Text(kind), "BuiltInAction", "")
		}
		list, minimal := rule.filled("Expressions")
		expression := rule.get("Expression")
		switch {
		case minimal:
			if items, _ := r.items(list, path+".Expressions"); len(items) > 0 {
				r.doubt(list, path+".Expressions", "expressions", "none", "say it with filters, or with Extension.AllowCommands")
			}
		case !expression.Given():
			r.doubt(item, path+".Expression", "none", strings.Join(expressions[:7], ", "), "")
		default:
			text := strings.Join(strings.Fields(r.text(rule, "Expression")), "")
			if !slices.ContainsFunc(expressions, func(known string) bool { return foldEqual(known, text) }) {
				r.doubt(expression, path+".Expression", fault.Text(text), strings.Join(expressions[:7], ", "), "")
			}
		}
	}
}

func (r *reader) operator(f fields, path string) {
	if v := f.get("Operator"); v.Given() {
		if text := r.text(f, "Operator"); text != "" && !foldEqual(text, "And") {
			r.doubt(v, path, fault.Text(text), "And", "")
		}
	}
}
