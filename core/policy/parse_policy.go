package policy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Keys of the policy model and of what real tools write beside it. A policy with
// a key that is none of these grants nothing: whoever wrote it meant something by
// it, and "RunAs": "daemon" beside a grant is not to make root of anybody.
var (
	policyKeys = []string{
		"PolicyId", "PolicyName", "PolicyType", "Status", "Actions", "NotificationMessage",
		"NotificationRequiresAcknowledge", "RiskLevel", "Operator", "Rules", "UserCheck", "MachineCheck",
		"ApplicationCheck", "TargetUserCheck", "DateCheck", "TimeCheck", "DayCheck", "CertificationCheck", "Extension",
		"Controls", "Filters", // the minimal layout
		"OnSuccess", // left at the root by an editor; ignored
		"numberRequiredApprovers", "isApprovalLimitOneTime", "oneTimeApprovalLimit", "approvalLimitRange",
		"approvers", "disabled", // what the server keeps beside the policy
		"$schema", "Description", "Comment", // for people and editors
	}
	filterKeys = []string{"UserCheck", "MachineCheck", "ApplicationCheck", "TargetUserCheck"}
)

// policy reads p, which is empty.
func (r *reader) policy(v strictjson.Value, p *Policy) {
	*p = Policy{File: r.file, Index: r.index, Status: Enforce, source: v}
	r.doubtful = false
	first := len(r.findings)
	f := r.object(v, "$", policyKeys)
	p.ID, p.Name = r.text(f, "PolicyId"), r.text(f, "PolicyName")
	if p.ID == "" {
		p.ID = p.Name
	}
	if p.ID == "" {
		p.ID = fmt.Sprintf("%s[%d]", filepath.Base(r.file), r.index)
		r.doubt(v, "$.PolicyId", "none", "a name that refusals and the journal can cite", `add "PolicyId": "..."`)
	}
	if len(p.ID) > maxName || len(p.Name) > maxName {
		p.ID, p.Name = shorten(p.ID), shorten(p.Name)
		r.doubt(v, "$.PolicyId", "an id or a name of more bytes", fmt.Sprintf("at most %d", maxName), "shorten PolicyId or PolicyName")
	}
	r.id = p.ID
	for i := range r.findings[first:] {
		r.findings[first+i].Policy = p.ID
	}
	kind := r.kindOf(p, f)
	r.kept = keeps(kind)
	r.status(p, f)
	r.controls(p, f)
	r.approvers(p, f)
	r.rules(f)
	r.filters(p, f, kind)
	r.extension(p, f, kind)
	r.remarks(p, f)
	p.Doubtful = r.doubtful
	if r.kept {
		for i := range r.findings[first:] { // it grants nothing anyway
			if f := &r.findings[first+i]; f.Severity == Doubt {
				f.Severity = Note
			}
		}
	}
}

// shorten cuts a name to what answers can carry.
func shorten(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxName)], "")
}

// kindOf reads PolicyType. A policy of a type that nobody knows grants nothing; its
// DENY holds for every kind of question (decision 29).
func (r *reader) kindOf(p *Policy, f fields) answerer {
	text := r.text(f, "PolicyType")
	for i := range r.kinds {
		name := find(r.kinds[i].types, text, foldEqual)
		if name == "" {
			continue
		}
		p.Type = name
		if keeps(r.kinds[i].answer) && !slices.Contains(actingTypes[:], name) {
			r.note(f.get("PolicyType"), "$.PolicyType", name, strings.Join(answeredTypes(r.kinds), " or "),
				"policies of this type are kept and shown, and say nothing about elevations; nothing is granted by them, and their DENY holds for questions of this type")
		}
		return r.kinds[i].answer
	}
	found := "none"
	if f.get("PolicyType").Given() {
		found = fault.Text(text)
	}
	r.doubt(f.get("PolicyType"), "$.PolicyType", found, "a documented policy type", strings.Join(answeredTypes(r.kinds), ", ")+" are those that grant something")
	return unknownKind{}
}

func (r *reader) status(p *Policy, f fields) {
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
		r.doubt(f.get("Status"), "$.Status", fault.Text(text), "off, monitor, monitor_and_notify or enforce", "")
	}
	if v, given := f.filled("disabled"); given {
		if !v.IsBool() {
			r.doubt(v, "$.disabled", describe(v), "true or false", "")
		} else if v.Text() == "true" {
			p.Status = Off
		}
	}
}

// remarks reads what neither chooses nor controls.
func (r *reader) remarks(p *Policy, f fields) {
	if v, given := f.filled("RiskLevel"); given {
		level, err := strconv.Atoi(v.Text())
		if !v.IsNumber() || err != nil || level < 0 || level > 100 {
			r.doubt(v, "$.RiskLevel", describe(v), "a whole number from 0 to 100", "")
		} else {
			risk := uint8(level)
			p.RiskLevel = &risk
		}
	}
	p.Acknowledge = r.flag(f, "NotificationRequiresAcknowledge")
	p.Notification = r.text(f, "NotificationMessage")
	r.text(f, "Description")
	r.text(f, "Comment")
}
