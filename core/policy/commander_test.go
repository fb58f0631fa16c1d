package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// commander is a policy as the vendor's Commander writes one: all seven rules,
// every filter, and what the server keeps beside it.
func commander(kind, controls, filters string) string {
	return `{"PolicyName": "From Commander", "PolicyId": "kq7Jx0vSSYyPZ5CbQ8mG1A", "PolicyType": "` + kind + `", "Status": "enforce",
	"Actions": {"OnSuccess": {"Controls": ` + controls + `}, "OnFailure": {"Command": ""}},
	"NotificationMessage": "", "NotificationRequiresAcknowledge": false, "RiskLevel": 50, "Operator": "And", "Extension": {},
	"Rules": [
	 {"RuleName": "UserCheck", "ErrorMessage": "This user is not included in this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckUser()"},
	 {"RuleName": "MachineCheck", "ErrorMessage": "This machine is not included in this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckMachine()"},
	 {"RuleName": "ApplicationCheck", "ErrorMessage": "This application is not included in this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckFile(false)"},
	 {"RuleName": "DateCheck", "ErrorMessage": "Current date is not covered by this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckDate()"},
	 {"RuleName": "TimeCheck", "ErrorMessage": "Current time is not covered by this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckTime()"},
	 {"RuleName": "DayCheck", "ErrorMessage": "Today is not included in this policy", "RuleExpressionType": "BuiltInAction", "Expression": "CheckDay()"},
	 {"RuleName": "CertificateCheck", "ErrorMessage": "Certificate is not valid", "RuleExpressionType": "BuiltInAction", "Expression": "CheckCertificate()"}],
	"OnSuccess": {"Controls": ["ALLOW"]}, "disabled": false, ` + filters + `}`
}

const everyone = `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DateCheck": [], "TimeCheck": [], "DayCheck": [], "CertificationCheck": []`

// What Commander writes loads without a doubt, and means what it means there.
func TestWhatCommanderWrites(t *testing.T) {
	evening := noon.Add(7 * time.Hour)
	for _, tc := range []struct {
		name, text string
		at         time.Time
		want       core.Outcome
		controls   []core.Control
	}{
		{"allowed", commander("PrivilegeElevation", `["ALLOW"]`, everyone), noon, core.Allow, nil},
		{"denied", commander("PrivilegeElevation", `["DENY"]`, everyone), noon, core.Deny, nil},
		{"controls add up", commander("PrivilegeElevation", `["MFA", "JUSTIFY", "NOTIFY"]`, everyone), noon, core.Pending, []core.Control{core.ControlJustify, core.ControlMFA}},
		{"controls in one string", commander("PrivilegeElevation", `"MFA\r\nAPPROVAL\n"`, everyone), noon, core.Pending, []core.Control{core.ControlApproval, core.ControlMFA}},
		{"a command policy has no applications", commander("CommandLine", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": [], "DateCheck": [], "TimeCheck": [], "DayCheck": []`), noon, core.Allow, nil},
		{"stars for unset", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DateCheck": ["*"], "TimeCheck": ["*"], "DayCheck": ["*"]`), noon, core.Allow, nil},
		{"whole hours as strings", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TimeCheck": [{"StartTime": "9", "EndTime": "18"}]`), noon, core.Allow, nil},
		{"after them", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TimeCheck": [{"StartTime": "9", "EndTime": "18"}]`), evening, core.Deny, nil},
		{"the older clock", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TimeCheck": [{"StartTime": "09:00:00", "EndTime": "18:00:00"}]`), noon, core.Allow, nil},
		{"days", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DayCheck": [1, 2, 3, 4, 5]`), noon, core.Allow, nil},
		{"no start", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DateCheck": [{"StartDate": null, "EndDate": "2026-11-18"}]`), noon, core.Allow, nil},
		{"no end", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DateCheck": [{"StartDate": "2026-11-19", "EndDate": ""}]`), noon, core.Deny, nil},
		{"milliseconds, as the SDK has them", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "DateCheck": [{"StartDate": 1700000000000, "EndDate": 1900000000000}]`), noon, core.Allow, nil},
		{"all agents by their collection", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["*"], "MachineCheck": ["AAAAAAAAAAAAAAAAAAAAAA"], "ApplicationCheck": ["*"]`), noon, core.Allow, nil},
		{"a collection that is not here", commander("PrivilegeElevation", `["ALLOW"]`, `"UserCheck": ["kq7Jx0vSSYyPZ5CbQ8mG1B"], "MachineCheck": ["*"], "ApplicationCheck": ["*"]`), noon, core.Deny, nil},
		{"off, as the command to switch it off leaves it", strings.NewReplacer(`"Status": "enforce"`, `"Status": "off"`, `"disabled": false`, `"disabled": true`).Replace(commander("PrivilegeElevation", `["ALLOW"]`, everyone)), noon, core.Deny, nil},
	} {
		policies, findings := engine.Parse("c.json", []byte(tc.text))
		set, more := engine.Compile(policies, linux())
		for _, f := range append(findings, more...) {
			if f.Severity != Note && tc.name != "a collection that is not here" {
				t.Errorf("%s: %s", tc.name, f.Error())
			}
		}
		q := ask("/usr/bin/id", "id", "id")
		q.Time = tc.at
		if got := set.Decide(q); got.Outcome != tc.want || !cmp.Equal(got.Controls, tc.controls) {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
	// Least privilege, as its command creates it: kept, and nothing else.
	policies, _ := engine.Parse("l.json", []byte(commander("LeastPrivilege", `["DENY"]`, `"UserCheck": [], "MachineCheck": ["*"], "ApplicationCheck": []`)))
	allow, _ := engine.Parse("a.json", []byte(commander("PrivilegeElevation", `["ALLOW"]`, everyone)))
	set, _ := engine.Compile(append(policies, allow...), linux())
	if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Allow {
		t.Errorf("%+v", got)
	}
}
