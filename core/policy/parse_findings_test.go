package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ruleForms = "CheckUser(), CheckMachine(), CheckFile(false), CheckDate(), CheckTime(), CheckDay(), CheckCertificate()"

// Everything that reading a policy can say, in full: it is what its author gets.
func TestWhatReadingSays(t *testing.T) {
	for _, tc := range []struct{ old, new, want string }{
		{`"Status": "enforce"`, `"Status": {}`, `grants nothing: r.json:2: policy "p1", $.Status: found an object, expected a string of at most 4096 bytes, without zero bytes`},
		{`"Status": "enforce"`, `"Status": "on"`, `grants nothing: r.json:2: policy "p1", $.Status: found "on", expected off, monitor, monitor_and_notify or enforce`},
		{`"PolicyId": "p1"`, `"PolicyId": "` + strings.Repeat("x", 257) + `"`,
			`grants nothing: r.json:1: policy "` + strings.Repeat("x", 256) + `", $.PolicyId: found an id or a name of more bytes, expected at most 256; shorten PolicyId or PolicyName`},
		{`"RiskLevel": 50`, `"RiskLevel": -1`, `grants nothing: r.json:4: policy "p1", $.RiskLevel: found -1, expected a whole number from 0 to 100`},
		{`"RiskLevel": 50`, `"RiskLevel": 7.5`, `grants nothing: r.json:4: policy "p1", $.RiskLevel: found 7.5, expected a whole number from 0 to 100`},
		{`"RiskLevel": 50`, `"RiskLevel": "7"`, `grants nothing: r.json:4: policy "p1", $.RiskLevel: found "7", expected a whole number from 0 to 100`},
		{`"NotificationRequiresAcknowledge": false`, `"NotificationRequiresAcknowledge": "no"`,
			`grants nothing: r.json:4: policy "p1", $.NotificationRequiresAcknowledge: found "no", expected true or false`},
		{`"Operator": "And"`, `"Operator": "Or"`, `grants nothing: r.json:5: policy "p1", $.Operator: found "Or", expected And`},
		{`{"RuleName": "UserCheck"`, `{"Operator": "Not"`, `grants nothing: r.json:7: policy "p1", $.Rules[0].Operator: found "Not", expected And`},
		{`"Rules": [`, `"Rules": [{"Expression": []}, `, `grants nothing: r.json:6: policy "p1", $.Rules[0].Expression: found an array, expected a string of at most 4096 bytes, without zero bytes`},
		{`"Rules": [`, `"Rules": [{}, `, `grants nothing: r.json:6: policy "p1", $.Rules[0].Expression: found none, expected ` + ruleForms},
		{`"CheckUser()"`, `"Check User ( x )"`, `grants nothing: r.json:7: policy "p1", $.Rules[0].Expression: found "CheckUser(x)", expected ` + ruleForms},
		{`"BuiltInAction", "Expression": "CheckUser()"`, `"Script", "Expression": "CheckUser()"`,
			`grants nothing: r.json:7: policy "p1", $.Rules[0].RuleExpressionType: found "Script", expected BuiltInAction`},
		{`"Expression": "CheckUser()"`, `"Expressions": [1]`,
			`grants nothing: r.json:7: policy "p1", $.Rules[0].Expressions: found expressions, expected none; say it with filters, or with Extension.AllowCommands`},
		{`"Expression": "CheckUser()"`, `"Expressions": 1`, `grants nothing: r.json:7: policy "p1", $.Rules[0].Expressions: found 1, expected an array; put it in [ ]`},
		{`"Rules": [`, `"Rules": {}, "approvers": [`, `grants nothing: r.json:6: policy "p1", $.Rules: found an object, expected an array; put it in [ ]`},
		{`["MFA", "JUSTIFY"]`, `["MFA", "ASK"]`,
			`grants nothing: r.json:3: policy "p1", $.Actions.OnSuccess.Controls[1]: found "ASK", expected one of ALLOW, DENY, MFA, JUSTIFY, APPROVAL, NOTIFY, AUDIT, RECORD`},
		{`["MFA", "JUSTIFY"]`, `[]`, `note: r.json: policy "p1", $.Actions.OnSuccess.Controls: found no control, expected at least one; as it stands, the policy does nothing`},
		{`"RiskLevel": 50`, `"Controls": ["ALLOW"]`,
			`grants nothing: r.json: policy "p1", $.Controls: found two lists of controls, expected one; keep Actions.OnSuccess.Controls and drop Controls`},
		{`"RiskLevel": 50`, `"Controls": [7]`, `grants nothing: r.json:4: policy "p1", $.Controls[0]: found 7, expected a string of at most 4096 bytes, without zero bytes`},
		{`"Actions": {`, `"Actions": {"OnSuccess": 1}, "approvers": {`, `grants nothing: r.json:3: policy "p1", $.Actions.OnSuccess: found 1, expected an object`},
		{`"Command": ""`, `"Command": "reboot"`, `note: r.json:3: policy "p1", $.Actions.OnFailure.Command: found a command, expected none; it is never run`},
		{`"OnFailure": {"Command": ""}`, `"OnFailure": true`, `grants nothing: r.json:3: policy "p1", $.Actions.OnFailure: found true, expected an object`},
		{`"RiskLevel": 50`, `"Filters": []`, `grants nothing: r.json:4: policy "p1", $.Filters: found an array, expected an object`},
		{`"RiskLevel": 50`, `"Filters": {"UserCheck": {"Users": ["bob"]}}`,
			`grants nothing: r.json:4: policy "p1", $.Filters.UserCheck: found the filter in two layouts, expected one of them; keep $.UserCheck`},
		{`"MachineCheck": ["*"]`, `"Filters": {"MachineCheck": {"Machines": 7}}`, `grants nothing: r.json:11: policy "p1", $.Filters.MachineCheck.Machines: found 7, expected an array; put it in [ ]`},
		{`"CertificationCheck": []`, `"CertificationCheck": "*"`, `grants nothing: r.json:14: policy "p1", $.CertificationCheck: found "*", expected an array; put it in [ ]`},
		{`"UserCheck": ["*"]`, `"UserCheck": ["*", " "]`, `grants nothing: r.json:11: policy "p1", $.UserCheck[1]: found an empty string, expected an entry; remove it`},
		{`"DateCheck": [`, `"DateCheck": "2026-01-01", "approvers": [`, `grants nothing: r.json:12: policy "p1", $.DateCheck: found "2026-01-01", expected an array; put it in [ ]`},
		{`"TimeCheck": [`, `"TimeCheck": 9, "approvers": [`, `grants nothing: r.json:13: policy "p1", $.TimeCheck: found 9, expected an array; put it in [ ]`},
		{`"DayCheck": [1, 5]`, `"DayCheck": 1`, `grants nothing: r.json:14: policy "p1", $.DayCheck: found 1, expected an array; put it in [ ]`},
		{`"Extension": {}`, `"Extension": {"CustomFilterJobId": "../j"}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.CustomFilterJobId: found "../j", expected the id of a job: 1 to 64 letters, digits, dots and hyphens`},
		{`"Extension": {}`, `"Extension": {"RequestedBy": []}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.RequestedBy: found an empty list, expected "terminal", "desktop", "service" or "agent"; leave the key out if it does not matter who asks`},
		{`"Extension": {}`, `"Extension": {"RequestedBy": ["terminal", "people"]}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.RequestedBy[1]: found "people", expected "terminal", "desktop", "service" or "agent"`},
		{`"Extension": {}`, `"Extension": {"ChildProcesses": "no"}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.ChildProcesses: found "no", expected "inherit", "own-rule" or "deny"`},
		{`"Extension": {}`, `"Extension": {"Grant": {"For": 30}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.For: found 30, expected a duration with a unit, such as "30m"; it is a number without a unit: write "30m", "2h" or "1d"`},
		{`"Extension": {}`, `"Extension": {"Grant": {"For": "0m"}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.For: found 0m, expected a duration with a unit, such as "30m"; it is no time at all: to allow nothing for a time, leave it out`},
		{`"Extension": {}`, `"Extension": {"Grant": {"Uses": 3}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.For: found none, expected for how long, such as "30m"; what is given for a time has to end`},
		{`"Extension": {}`, `"Extension": {"Grant": {"For": "1h", "Renewals": 0}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.Renewals: found 0, expected a whole number from 1 to 1000; leave it out to mean none`},
		{`"Extension": {}`, `"Extension": {"Grant": {"For": "1h", "Covers": "all"}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.Covers: found "all", expected "command", "policy" or "administrator"`},
		{`"Extension": {}`, `"Extension": {"Grant": {"For": "1h", "Automatic": 1}}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.Grant.Automatic: found 1, expected true or false`},
		{`"Extension": {}`, `"Extension": {"CustomFilterJobId": 1}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.CustomFilterJobId: found 1, expected a string of at most 4096 bytes, without zero bytes`},
		{`"Extension": {}`, `"Extension": {"AllowCommands": [7]}`,
			`grants nothing: r.json:14: policy "p1", $.Extension.AllowCommands[0]: found 7, expected a string of at most 4096 bytes, without zero bytes`},
		{`"Extension": {}`, `"Extension": {` + strings.Repeat(`"x": 1, `, maxMembers) + `"x": 1}`, `fault: r.json:14: policy "p1", $.Extension: found more keys, expected at most 256`},
		{`"UserCheck": ["*"]`, `"UserCheck": [` + strings.Repeat(`"*", `, maxEntries) + `"*"]`, `grants nothing: r.json:11: policy "p1", $.UserCheck: found more entries, expected at most 20000`},
		{`"Extension": {}`, `"Extension": {"Else": 1}`, `grants nothing: r.json:14: policy "p1", $.Extension.Else: found a key of unknown effect, expected AllowCommands, EphemeralAccount, UserSession, CustomFilterJobId, RequestedBy, Grant, ChildProcesses, AutomaticApproval`},
	} {
		_, findings := engine.Parse("r.json", edit(t, tc.old, tc.new))
		if got := lines(findings); len(got) == 0 || got[0] != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.new, strings.Join(got, "\n     "), tc.want)
		}
	}
}

// What is said about a file as a whole has no policy and no place in it.
func TestWhatReadingSaysAboutFiles(t *testing.T) {
	for _, tc := range []struct{ name, data, want string }{
		{"cut off", `{"PolicyId": `, `fault: r.json:1: found no valid JSON (unexpected end of JSON input), expected one policy, or an array of policies; fix the JSON`},
		{"a comma too many", `{"PolicyId": "x",}`, `fault: r.json:1: found no valid JSON (invalid character '}' looking for beginning of object key string), expected one policy, or an array of policies; remove the comma before the "}"`},
		{"empty", "", `fault: r.json:1: found no valid JSON (unexpected end of JSON input), expected one policy, or an array of policies; fix the JSON`},
		{"too long", strings.Repeat(" ", MaxFile+1), `fault: r.json: found 16777217 bytes, expected at most 16777216; split the file`},
		{"not UTF-8", "[\xff]", `fault: r.json: found text that is not UTF-8, expected UTF-8; save the file as UTF-8`},
		{"too many policies", "[" + strings.Repeat("1,", maxPolicies) + "1]", `fault: r.json:1: found more policies, expected at most 20000 in one file; split the file`},
	} {
		_, findings := engine.Parse("r.json", []byte(tc.data))
		if got := lines(findings); len(got) == 0 || got[0] != tc.want {
			t.Errorf("%s\n got %.300v\nwant %s", tc.name, got, tc.want)
		}
	}
	// What a policy says of itself is said of it alone.
	_, findings := engine.Parse("r.json", []byte(`[{"PolicyId": "a", "PolicyType": "Custom", "x": 1}, {"y": 1, "PolicyType": "Custom"}, {"PolicyName": "c", "PolicyType": "Custom", "z": 1}]`))
	want := []string{"a 0 $.x", "a 0 $.PolicyType", "r.json[1] 1 $.y", "r.json[1] 1 $.PolicyId", "r.json[1] 1 $.PolicyType", "c 2 $.z", "c 2 $.PolicyType"}
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%s %d %s", f.Policy, f.Index, f.Field))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A doubt about one policy is not one about the next.
func TestADoubtIsOfOnePolicy(t *testing.T) {
	text := "[" + sketch{id: "a", controls: "ALLOW", status: "perhaps"}.json() + "," + sketch{id: "b", controls: "ALLOW"}.json() + "," +
		strings.Replace(sketch{id: "c", controls: "ALLOW"}.json(), `"PolicyId": "c", `, "", 1) + "]"
	policies, findings := engine.Parse("d.json", []byte(text))
	if len(policies) != 3 || !policies[0].Doubtful || policies[1].Doubtful || policies[2].Doubtful || len(findings) != 1 {
		t.Fatalf("%+v, %v", policies, findings)
	}
	if policies[2].ID != "Name of c" {
		t.Errorf("a policy without an id is called %q", policies[2].ID)
	}
	set, _ := engine.Compile(policies, linux())
	if got := ids(set.Decide(ask("/usr/bin/id", "id", "id")).Policies); !cmp.Equal(got, []string{"Name of c", "b"}) {
		t.Errorf("granted by %v", got)
	}
}

// Values at the edge of what is read.
func TestValuesAtTheEdge(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for _, tc := range []struct{ old, new string }{
		{`"PolicyId": "p1", "PolicyName": "Restart nginx"`, `"PolicyId": "` + long + `", "PolicyName": "` + long + `"`},
		{`"RiskLevel": 50`, `"RiskLevel": 0`},
		{`"RiskLevel": 50`, `"RiskLevel": 100`},
		{`"RiskLevel": 50`, `"RiskLevel": null`},
		{`"NotificationRequiresAcknowledge": false`, `"NotificationRequiresAcknowledge": null`},
		{`"RiskLevel": 50`, `"Filters": null, "disabled": null, "Controls": null`},
		{`"RiskLevel": 50`, `"Filters": {"UserCheck": null, "MachineCheck": null}`},
		{`"Rules": [`, `"Rules": null, "approvers": [`},
		{`"Operator": "And"`, `"Operator": "AND"`},
		{`"Operator": "And"`, `"Operator": null`},
		{`"OnFailure": {"Command": ""}`, `"OnFailure": null`},
		{`"Extension": {}`, `"Extension": null`},
		{`"Extension": {}`, `"Extension": {"customfilterjobid": ""}`},
		{`"CheckUser()"`, `" checkcertificate ( TRUE ) "`},
		{`"BuiltInAction", "Expression": "CheckUser()"`, `"builtinaction", "Expressions": []`},
	} {
		policies, findings := engine.Parse("e.json", edit(t, tc.old, tc.new))
		if len(findings) != 0 || policies[0].Doubtful {
			t.Errorf("%s: %v", tc.new, findings)
		}
	}
}
