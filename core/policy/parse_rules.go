package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
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
// A slip in one of these names is followed, so that a DENY below it is seen.
func (r *reader) controls(p *Policy, f fields) {
	var lists int
	add := func(f fields, path string) {
		v, given := filled(f.near("Controls"))
		if !given {
			return
		}
		lists++
		for i, text := range r.texts(v, path) {
			control, known := r.table.Parse(text)
			if !known {
				r.doubt(v.Nearest(fault.Item("", i)), fault.Item(path, i), fault.Text(text), "one of "+r.table.String(), "")
				continue
			}
			p.Controls = append(p.Controls, control)
		}
	}
	add(f, "$.Controls")
	if actions, given := filled(f.near("Actions")); given {
		a := r.object(actions, "$.Actions", actionKeys)
		if success, given := filled(a.near("OnSuccess")); given {
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
	case len(p.Controls) == 0 && !r.doubtful:
		r.note(nowhere, "$.Actions.OnSuccess.Controls", "no control", "at least one", "as it stands, the policy does nothing")
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
	for i, item := range r.items(v, "$.Rules") {
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
			if len(r.items(list, path+".Expressions")) > 0 {
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
