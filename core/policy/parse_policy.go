package policy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
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
	filterKeys = []string{"UserCheck", "MachineCheck", "ApplicationCheck"}
)

func (r *reader) policy(v strictjson.Value) Policy {
	p := Policy{File: r.file, Index: r.index, Status: Enforce, source: v}
	r.doubtful = false
	first := len(r.findings)
	f := r.object(v, "$", policyKeys)
	p.ID, p.Name = r.text(f, "PolicyId"), r.text(f, "PolicyName")
	if p.ID == "" {
		p.ID = p.Name
	}
	if p.ID == "" {
		r.fault(v, "$.PolicyId", "none", "a name that refusals and the journal can cite", `add "PolicyId": "..."`)
	}
	if len(p.ID) > maxName || len(p.Name) > maxName {
		r.fault(v, "$.PolicyId", "an id or a name of more bytes", fmt.Sprintf("at most %d", maxName), "shorten PolicyId or PolicyName")
	}
	r.id = p.ID
	for i := range r.findings[first:] {
		r.findings[first+i].Policy = p.ID
	}
	kind := r.kindOf(&p, f)
	if kind == nil {
		return p
	}
	r.status(&p, f)
	r.controls(&p, f)
	r.rules(f)
	r.filters(&p, f, kind)
	r.extension(&p, f, kind)
	r.remarks(f)
	p.Doubtful = r.doubtful
	return p
}

// kindOf reads PolicyType. It is nil if this release answers nothing from
// policies of that type.
func (r *reader) kindOf(p *Policy, f fields) answerer {
	text := r.text(f, "PolicyType")
	for i := range r.kinds {
		name := find(r.kinds[i].types, text, foldEqual)
		if name == "" {
			continue
		}
		p.Type = name
		if r.kinds[i].answer == nil {
			r.note(f.get("PolicyType"), "$.PolicyType", name, strings.Join(answeredTypes(r.kinds), " or "),
				"policies of this type are known, and say nothing about elevations")
		}
		return r.kinds[i].answer
	}
	found := "none"
	if f.get("PolicyType").Given() {
		found = fault.Text(text)
	}
	r.fault(f.get("PolicyType"), "$.PolicyType", found, "a documented policy type", strings.Join(answeredTypes(r.kinds), " and ")+" govern elevations")
	return nil
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
			r.fault(v, "$.disabled", describe(v), "true or false", "")
		} else if v.Text() == "true" {
			p.Status = Off
		}
	}
}

// extension reads what a kind adds. A key that we do not know may restrict, and
// we cannot know how: the policy grants nothing.
func (r *reader) extension(p *Policy, f fields, kind answerer) {
	v, given := f.filled("Extension")
	if !given {
		return
	}
	own := kind.extension()
	known := append([]string{"CustomFilterJobId"}, own...)
	list, ok := r.members(v, "$.Extension")
	if !ok {
		return
	}
	e := r.collect(list, "$.Extension", known, false)
	for _, m := range list {
		if find(known, m.Key, foldEqual) == "" {
			r.doubt(m.Value, fault.Key("$.Extension", m.Key), "a key of unknown effect", cmp.Or(strings.Join(own, ", "), "none"), "")
		}
	}
	if r.text(e, "CustomFilterJobId") != "" {
		r.doubt(e.get("CustomFilterJobId"), "$.Extension.CustomFilterJobId", "a filter job", "none", "this release runs no filter jobs")
	}
	kind.read(r, p, e)
}

// remarks notes what was read and has no effect here.
func (r *reader) remarks(f fields) {
	if v, given := f.filled("RiskLevel"); given {
		level, err := strconv.Atoi(v.Text())
		if !v.IsNumber() || err != nil || level < 0 || level > 100 {
			r.fault(v, "$.RiskLevel", describe(v), "a whole number from 0 to 100", "")
		}
	}
	if v, given := f.filled("NotificationRequiresAcknowledge"); given && !v.IsBool() {
		r.fault(v, "$.NotificationRequiresAcknowledge", describe(v), "true or false", "")
	}
	r.text(f, "NotificationMessage")
}
