package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kpm/core"
)

const fullModel = `{
  "PolicyId": "p1", "PolicyName": "Restart nginx", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["MFA", "JUSTIFY"]}, "OnFailure": {"Command": ""}},
  "NotificationMessage": "...", "NotificationRequiresAcknowledge": false, "RiskLevel": 50,
  "Operator": "And",
  "Rules": [
    {"RuleName": "UserCheck", "ErrorMessage": "...", "RuleExpressionType": "BuiltInAction", "Expression": "CheckUser()"},
    {"RuleName": "File", "ErrorMessage": "", "RuleExpressionType": "BuiltInAction", "Expression": "CheckFile( false )"},
    {"RuleName": "Signer", "RuleExpressionType": "BuiltInAction", "Expression": "CheckCertificate(false)"}
  ],
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"],
  "DateCheck": [{"StartDate": "2025-01-01", "EndDate": "2025-01-25"}, {"StartDate": 0, "EndDate": 1000}],
  "TimeCheck": [{"StartTime": "9", "EndTime": "18"}, {"StartTime": "22:30", "EndTime": "06:15:30"}],
  "DayCheck": [1, 5], "CertificationCheck": [], "Extension": {}
}`

func risk(level uint8) *uint8 { return &level }

func TestParseFullModel(t *testing.T) {
	got, findings := engine.Parse("p1.json", []byte(fullModel))
	if len(findings) != 0 {
		t.Errorf("findings: %v", findings)
	}
	want := []Policy{{
		ID: "p1", Name: "Restart nginx", Type: TypePrivilegeElevation, Status: Enforce,
		Controls: []core.Control{core.ControlMFA, core.ControlJustify},
		Users:    []string{"*"}, Machines: []string{"*"}, Applications: []string{"*"},
		Dates: []DateRange{
			{FirstDay: civilDay{2025, 1, 1}, LastDay: civilDay{2025, 1, 25}},
			{FromMS: 0, ToMS: 1000, Instants: true},
		},
		Times: []TimeRange{{9 * 3600, 18 * 3600}, {22*3600 + 30*60, 6*3600 + 15*60 + 30}},
		Days:  1<<1 | 1<<5, Certificates: []string{}, File: "p1.json",
		RiskLevel: risk(50), Notification: "...",
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(DateRange{}, civilDay{}), cmpopts.IgnoreUnexported(Policy{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseMinimalLayout(t *testing.T) {
	got, findings := engine.Parse("m.json", []byte(`{"policyid": "m", "POLICYTYPE": "privilegeelevation", "Status": "enabled", "Controls": ["Allow"],
		"Rules": [{"Operator": "And", "Expressions": []}],
		"Filters": {"UserCheck": {"Users": ["alice"]}, "MachineCheck": {"Machines": ["*"]}, "ApplicationCheck": {"Applications": ["/usr/bin/id"]}}}`))
	want := []Policy{{ID: "m", Type: TypePrivilegeElevation, Status: Enforce, Controls: []core.Control{core.ControlAllow},
		Users: []string{"alice"}, Machines: []string{"*"}, Applications: []string{"/usr/bin/id"}, File: "m.json"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(DateRange{}, civilDay{}), cmpopts.IgnoreUnexported(Policy{})); diff != "" || len(findings) != 0 {
		t.Error(diff, findings)
	}
}

func TestParseArray(t *testing.T) {
	got, findings := engine.Parse("two.json", []byte("\xef\xbb\xbf[\n"+fullModel+",\n"+strings.Replace(fullModel, `"p1"`, `"p2"`, 1)+"]"))
	if len(got) != 2 || got[0].ID != "p1" || got[1].ID != "p2" || got[1].Index != 1 || len(findings) != 0 {
		t.Errorf("got %v, %v", got, findings)
	}
	if got, findings := engine.Parse("none.json", []byte("[]")); len(got) != 0 || len(findings) != 0 {
		t.Errorf("an empty array: got %v, %v", got, findings)
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]Status{
		"off": Off, "disabled": Off, "Disabled": Off, "monitor": Monitor, "monitor_and_notify": MonitorAndNotify,
		"enforce": Enforce, "enabled": Enforce, "ENFORCE": Enforce, "": Enforce,
	} {
		got, findings := engine.Parse("s.json", edit(t, `"Status": "enforce"`, fmt.Sprintf(`"Status": %q`, text)))
		if got[0].Status != want || got[0].Doubtful || len(findings) != 0 {
			t.Errorf("Status %q: got %v, %v", text, got[0].Status, findings)
		}
	}
	if got, _ := engine.Parse("s.json", edit(t, `"RiskLevel": 50`, `"disabled": true`)); got[0].Status != Off {
		t.Errorf("disabled: got %v", got[0].Status)
	}
	if got, _ := engine.Parse("s.json", edit(t, `"RiskLevel": 50`, `"disabled": false`)); got[0].Status != Enforce {
		t.Errorf("not disabled: got %v", got[0].Status)
	}
}

// edit returns the full model with one piece of text replaced.
func edit(t *testing.T, old, new string) []byte {
	t.Helper()
	if strings.Count(fullModel, old) != 1 {
		t.Fatalf("%q is in the model %d times", old, strings.Count(fullModel, old))
	}
	return []byte(strings.Replace(fullModel, old, new, 1))
}

// What keeps a file from being read to its end is a fault of the file.
func TestFaults(t *testing.T) {
	for _, tc := range []struct{ name, data, want string }{
		{"not JSON", strings.Replace(fullModel, `"Operator": "And",`, `"Operator": "And"`, 1), "f.json:6: found no valid JSON (invalid character "},
		{"no policy", "3", `f.json:1: policy 1 of the file, $: found 3, expected an object or an array`},
		{"not UTF-8", "{\"PolicyId\": \"\xff\"}", `f.json: found text that is not UTF-8, expected UTF-8; save the file as UTF-8`},
		{"past the limit of bytes", strings.Repeat(" ", MaxFile+1), "expected at most"},
		{"past the limit of policies", "[" + strings.Repeat("{},", maxPolicies) + "{}]", "found more policies"},
		{"past the limit of keys", "{" + strings.Repeat(`"x": 0,`, maxMembers) + `"y": 0}`, "found more keys"},
	} {
		_, findings := engine.Parse("f.json", []byte(tc.data))
		if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Fault && strings.Contains(f.Error(), tc.want) }) {
			t.Errorf("%s: got %.300v\nwant %s", tc.name, findings, tc.want)
		}
	}
}

// What is wrong in one policy names the file, the line, the policy, the place,
// what was found and what was expected. It costs this policy its grant, and
// nothing else.
func TestWrongValuesCostTheGrant(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           string
	}{
		{"no name", `"PolicyId": "p1", "PolicyName": "Restart nginx"`, `"PolicyId": ""`,
			`f.json:1: policy "f.json[0]", $.PolicyId: found none, expected a name that refusals and the journal can cite; add "PolicyId": "..."`},
		{"unknown type", `"PrivilegeElevation"`, `"PriviligeElevation"`,
			`f.json:2: policy "p1", $.PolicyType: found "PriviligeElevation", expected a documented policy type; PrivilegeElevation, CommandLine, FileAccess are those that grant something`},
		{"no type", `"PolicyType": "PrivilegeElevation", `, ``, `f.json: policy "p1", $.PolicyType: found none, expected a documented policy type`},
		{"key twice", `"RiskLevel": 50`, `"status": "off"`, `f.json:4: policy "p1", $.Status: found the key twice, expected it once; readers differ in which`},
		{"a number for a string", `"Status": "enforce"`, `"Status": 1`, `f.json:2: policy "p1", $.Status: found 1, expected a string`},
		{"a string for an array", `"UserCheck": ["*"]`, `"UserCheck": "*"`, `f.json:11: policy "p1", $.UserCheck: found "*", expected an array; put it in [ ]`},
		{"a number in a list", `"UserCheck": ["*"]`, `"UserCheck": ["*", 7]`, `f.json:11: policy "p1", $.UserCheck[1]: found 7, expected a string`},
		{"a list for an object", `"Extension": {}`, `"Extension": []`, `$.Extension: found an array, expected an object`},
		{"controls as an object", `["MFA", "JUSTIFY"]`, `{"MFA": true}`, `$.Actions.OnSuccess.Controls: found an object, expected an array`},
		{"a control that is a number", `["MFA", "JUSTIFY"]`, `["MFA", 2]`, `$.Actions.OnSuccess.Controls[1]: found 2, expected a string`},
		{"a rule that is text", `{"RuleName": "Signer", "RuleExpressionType": "BuiltInAction", "Expression": "CheckCertificate(false)"}`, `"CheckUser()"`, `$.Rules[2]: found "CheckUser()", expected an object`},
		{"risk out of range", `"RiskLevel": 50`, `"RiskLevel": 101`, `$.RiskLevel: found 101, expected a whole number from 0 to 100`},
		{"disabled as text", `"RiskLevel": 50`, `"disabled": "no"`, `$.disabled: found "no", expected true or false`},
		{"zero byte", `"UserCheck": ["*"]`, `"UserCheck": ["bob\u0000"]`, `$.UserCheck[0]: found a zero byte, expected a string`},
		{"zero byte first", `"UserCheck": ["*"]`, `"UserCheck": ["\u0000bob"]`, `$.UserCheck[0]: found a zero byte, expected a string`},
		{"long text", `"NotificationMessage": "..."`, `"NotificationMessage": "` + strings.Repeat("x", 5000) + `"`, `$.NotificationMessage: found a string of 5000 bytes, expected a string of at most 4096 bytes`},
		{"a long name", `"PolicyName": "Restart nginx"`, `"PolicyName": "` + strings.Repeat("x", 257) + `"`, `$.PolicyId: found an id or a name of more bytes, expected at most 256`},
		{"terminal control", `"Status": "enforce"`, `"Status": ["\u001b[2J"]`, `$.Status: found an array, expected a string`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			policies, findings := engine.Parse("f.json", edit(t, tc.old, tc.new))
			if Faulty(findings) || !slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Doubt && strings.Contains(f.Error(), tc.want) }) {
				t.Errorf("got %v\nwant %s", findings, tc.want)
			}
			if len(policies) != 1 || !policies[0].Doubtful || policies[0].ID == "" {
				t.Errorf("got %+v", policies)
			}
		})
	}
}

// A value of a wrong type takes the grant, and neither a DENY nor the DENY of
// the policy beside it.
func TestWhateverIsWrongADenyHolds(t *testing.T) {
	for _, wrong := range []string{
		`"Status": 1`, `"Status": "enforce", "Status": "off"`, `"disabled": "yes"`, `"UserCheck": "bob"`, `"UserCheck": ["bob", 7]`, `"UserCheck": ["bob"], "UserCheck": ["bob"]`,
		`"MachineCheck": {"db1": true}`, `"ApplicationCheck": ["/usr/bin/vi", null]`, `"DateCheck": "never"`, `"DateCheck": [{"StartDate": "soon"}]`,
		`"TimeCheck": [7]`, `"DayCheck": ["Sunday"]`, `"CertificationCheck": [1]`, `"TargetUserCheck": 5`, `"Rules": "none"`, `"Filters": []`,
		`"Extension": 3`, `"Extension": {"AllowCommands": [1]}`, `"Extension": {"AllowCommands": {"a": 1}}`, `"RiskLevel": "high"`, `"PolicyType": "Sorcery"`, `"PolicyType": null`,
		`"PolicyId": 3`, `"PolicyName": ["x"]`, `"Operator": 1`, `"Controls": ["ALLOW"]`, `"Actions": {"OnSuccess": {"Controls": ["ALLOW"]}}`,
		`"Actions": {"OnSuccess": {"Controls": ["DENY, NOTIFY"]}}`, `"Actions": {"OnSuccess": {"Controls": ["NOTIFY", 5]}}`,
	} {
		deny := `{"PolicyId": "d", "PolicyType": "CommandLine", "Actions": {"OnSuccess": {"Controls": ["DENY"]}}, "UserCheck": ["*"], "MachineCheck": ["*"]`
		for name := range strings.SplitSeq("Status PolicyType PolicyId UserCheck MachineCheck", " ") { // the wrong one takes its place
			if strings.HasPrefix(wrong, `"`+name+`"`) && strings.Count(wrong, `"`+name+`"`) == 1 {
				deny = regexp.MustCompile(`, "`+name+`": (\[[^]]*\]|"[^"]*")|"`+name+`": "[^"]*", `).ReplaceAllString(deny, "")
			}
		}
		deny += ", " + wrong + "}"
		for text, want := range map[string]core.Outcome{
			"[" + sketch{id: "all", controls: "ALLOW"}.json() + "," + deny + "]":                                                core.Deny,
			"[" + sketch{id: "all", controls: "ALLOW"}.json() + "," + strings.ReplaceAll(deny, "DENY", "AUDIT") + "]":           core.Allow,
			"[" + strings.ReplaceAll(strings.Replace(deny, `["DENY"]`, `["ALLOW"]`, 1), "DENY", "AUDIT") + "]":                  core.Deny,
			"[" + sketch{id: "no", controls: "DENY"}.json() + "," + strings.Replace(deny, `["DENY"]`, `["ALLOW"]`, 1) + ", 7 ]": core.Deny,
		} {
			policies, findings := engine.Parse("w.json", []byte(text))
			set, _ := engine.Compile(policies, linux())
			if Faulty(findings) || set.Decide(ask("/usr/bin/id", "id", "id")).Outcome != want {
				t.Errorf("%s\nis not %s: %v", text, want, findings)
			}
		}
	}
}

// A doubt leaves the policy in the set and takes its right to grant.
func TestDoubts(t *testing.T) {
	for _, tc := range []struct{ name, old, new, path string }{
		{"unknown control", `["MFA", "JUSTIFY"]`, `["MFA", "FINGERPRINT"]`, "$.Actions.OnSuccess.Controls[1]"},
		{"unknown status", `"Status": "enforce"`, `"Status": "enforcing"`, "$.Status"},
		{"unknown operator", `"Operator": "And"`, `"Operator": "Or"`, "$.Operator"},
		{"unknown expression", `"CheckUser()"`, `"CheckRole()"`, "$.Rules[0].Expression"},
		{"other argument", `"CheckFile( false )"`, `"CheckFile(true)"`, "$.Rules[1].Expression"},
		{"signer in the expression", `"CheckCertificate(false)"`, `"CheckCertificate('Contoso')"`, "$.Rules[2].Expression"},
		{"unknown expression type", `"BuiltInAction", "Expression": "CheckUser()"`, `"Script", "Expression": "CheckUser()"`, "$.Rules[0].RuleExpressionType"},
		{"rule without expression", `"Expression": "CheckUser()"`, `"Operator": ""`, "$.Rules[0].Expression"},
		{"minimal expression", `"Expression": "CheckUser()"`, `"Expressions": [{"Type": "Contains", "Value": "x"}]`, "$.Rules[0].Expressions"},
		{"a key one slip away", `"TimeCheck"`, `"TimeChek"`, "$.TimeChek"},
		{"a nested key one slip away", `"OnFailure"`, `"OnFailures"`, "$.Actions.OnFailures"},
		{"unknown filter", `"RiskLevel": 50`, `"ParentCheck": ["/usr/bin/make"]`, "$.ParentCheck"},
		{"filter job", `"Extension": {}`, `"Extension": {"CustomFilterJobId": "a/j"}`, "$.Extension.CustomFilterJobId"},
		{"a grant that never ends", `"Extension": {}`, `"Extension": {"Grant": {}}`, "$.Extension.Grant.For"},
		{"nobody behind it", `"Extension": {}`, `"Extension": {"RequestedBy": []}`, "$.Extension.RequestedBy"},
		{"unknown extension", `"Extension": {}`, `"Extension": {"DenyArguments": ["-f"]}`, "$.Extension.DenyArguments"},
		{"allow list of the wrong type", `"Extension": {}`, `"Extension": {"AllowCommands": ["id"]}`, "$.Extension.AllowCommands"},
		{"two layouts of a filter", `"RiskLevel": 50`, `"Filters": {"UserCheck": {"Users": ["bob"]}}`, "$.Filters.UserCheck"},
		{"two lists of controls", `"RiskLevel": 50`, `"Controls": ["ALLOW"]`, "$.Controls"},
		{"an empty entry", `"UserCheck": ["*"]`, `"UserCheck": ["*", " "]`, "$.UserCheck[1]"},
		{"date the wrong way round", `"EndDate": "2025-01-25"`, `"EndDate": "2024-01-25"`, "$.DateCheck[0]"},
		{"date that is none", `"EndDate": "2025-01-25"`, `"EndDate": "2025-02-30"`, "$.DateCheck[0]"},
		{"a span without ends", `"StartDate": "2025-01-01", "EndDate": "2025-01-25"`, ``, "$.DateCheck[0]"},
		{"hours without ends", `"StartTime": "9", "EndTime": "18"`, ``, "$.TimeCheck[0]"},
		{"any date beside a span", `{"StartDate": 0, "EndDate": 1000}`, `"*"`, "$.DateCheck[1]"},
		{"any hour beside a span", `{"StartTime": "9", "EndTime": "18"}`, `"*"`, "$.TimeCheck[0]"},
		{"any day beside one", `"DayCheck": [1, 5]`, `"DayCheck": [1, "*"]`, "$.DayCheck[1]"},
		{"an unknown key", `"RiskLevel": 50`, `"Colour": "red"`, "$.Colour"},
		{"a nested unknown key", `"OnFailure"`, `"Colour"`, "$.Actions.Colour"},
		{"no users", `"UserCheck": ["*"], `, ``, "$.UserCheck"},
		{"no applications", `"ApplicationCheck": ["*"]`, `"ApplicationCheck": null`, "$.ApplicationCheck"},
		{"hour 24", `"EndTime": "18"`, `"EndTime": "24"`, "$.TimeCheck[0]"},
		{"no span", `"EndTime": "18"`, `"EndTime": "9"`, "$.TimeCheck[0]"},
		{"signed hour", `"EndTime": "18"`, `"EndTime": "+8"`, "$.TimeCheck[0]"},
		{"day 7", `"DayCheck": [1, 5]`, `"DayCheck": [1, 7]`, "$.DayCheck[1]"},
		{"day by name", `"DayCheck": [1, 5]`, `"DayCheck": ["Monday"]`, "$.DayCheck[0]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			policies, findings := engine.Parse("d.json", edit(t, tc.old, tc.new))
			if Faulty(findings) || len(policies) != 1 || !policies[0].Doubtful {
				t.Fatalf("got %+v, %v", policies, findings)
			}
			var paths []string
			for _, f := range findings {
				if f.Severity == Doubt {
					paths = append(paths, f.Field)
				}
			}
			if len(paths) != 1 || paths[0] != tc.path {
				t.Errorf("doubts about %v, want one about %s", paths, tc.path)
			}
		})
	}
}

// What does not concern an elevation is known, noted and left alone.
func TestNotes(t *testing.T) {
	for _, tc := range []struct{ name, data, path string }{
		{"another type", `{"PolicyId": "x", "PolicyType": "HttpAccess", "Extension": {"Folders": []}}`, "$.PolicyType"},
		{"a command on failure", strings.Replace(fullModel, `"Command": ""`, `"Command": "x"`, 1), "$.Actions.OnFailure.Command"},
		{"no machines", strings.Replace(fullModel, `"MachineCheck": ["*"]`, `"MachineCheck": []`, 1), "$.MachineCheck"},
		{"no users for a DENY", strings.Replace(strings.Replace(fullModel, `"UserCheck": ["*"], `, ``, 1), `"MFA", "JUSTIFY"`, `"DENY"`, 1), "$.UserCheck"},
		{"no controls", strings.Replace(fullModel, `["MFA", "JUSTIFY"]`, `[]`, 1), "$.Actions.OnSuccess.Controls"},
	} {
		policies, findings := engine.Parse("n.json", []byte(tc.data))
		if len(findings) != 1 || findings[0].Severity != Note || findings[0].Field != tc.path || policies[0].Doubtful {
			t.Errorf("%s: got %v", tc.name, findings)
		}
	}
}

// Of a type that says nothing about elevations nothing can be missed.
func TestUnknownKeysOfOtherTypesAreNotes(t *testing.T) {
	_, findings := engine.Parse("n.json", []byte(`{"PolicyId": "x", "PolicyType": "HttpAccess", "Folders": [], "Stauts": "off"}`))
	if len(findings) != 3 || slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity != Note }) {
		t.Errorf("got %v", findings)
	}
}

func TestServerKeysAreKnown(t *testing.T) {
	data := strings.Replace(fullModel, `"RiskLevel": 50`, `"RiskLevel": 50, "OnSuccess": {"Controls": ["ALLOW"]}, "numberRequiredApprovers": 1,
		"isApprovalLimitOneTime": false, "oneTimeApprovalLimit": 0, "approvalLimitRange": {}, "approvers": {}, "disabled": false`, 1)
	if policies, findings := engine.Parse("s.json", []byte(data)); len(findings) != 0 || len(policies[0].Controls) != 2 {
		t.Errorf("got %v, controls %v", findings, policies[0].Controls)
	}
}

func TestParseCollections(t *testing.T) {
	got, findings := ParseCollections("collections.json", []byte(`{
		"AAAAAAAAAAAAAAAAAAAAAQ": {"Type": "User", "Values": ["alice", "#1000"]},
		"x": {"type": "application", "values": ["/usr/bin/id"]}}`))
	want := map[string]Collection{
		"AAAAAAAAAAAAAAAAAAAAAQ": {OfUsers, []string{"alice", "#1000"}},
		"x":                      {OfApplications, []string{"/usr/bin/id"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(findings) != 0 {
		t.Error(diff, findings)
	}
	for _, bad := range []string{`[]`, `{`, "{\"x\xff\": {}}"} {
		if _, findings := ParseCollections("c.json", []byte(bad)); !Faulty(findings) {
			t.Errorf("%s: no fault, %v", bad, findings)
		}
	}
}

// Attack: half of a collection, or one of two, would be another collection: a
// DENY would miss whoever is in the other half.
func TestACollectionThatCannotBeReadRestricts(t *testing.T) {
	for _, bad := range []string{
		`"x": []`, `"x": {"Type": "colour", "Values": []}`, `"x": {"Type": "user"}`, `"x": {"Type": "user", "Values": [1]}`,
		`"x": {"Type": "user", "Values": [""]}`, `"x": {"Type": "user", "Values": []}, "x": {"Type": "user", "Values": []}`, `"x": {"Tipe": "user", "Values": []}`,
		`"x": {"Type": "user", "Values": [], "Except": ["alice"]}`,
	} {
		env := linux()
		var findings []Finding
		env.Collections, findings = ParseCollections("c.json", []byte(`{"good": {"Type": "user", "Values": ["alice"]}, "*": 5, `+bad+`}`))
		if Faulty(findings) || len(findings) == 0 {
			t.Errorf("%s: %v", bad, findings)
		}
		q := ask("/usr/bin/id", "id", "id")
		if got := meets(t, env, sketch{users: []string{"x"}}, q); got != restricts {
			t.Errorf("%s: of the one that cannot be read: %v", bad, got)
		}
		if got := meets(t, env, sketch{users: []string{"good"}}, q); got != full {
			t.Errorf("%s: of the other: %v", bad, got)
		}
	}
}
