package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core/fault"
)

// The fields of "KeeperPolicy lint --json" are a contract.
func TestFindingAsJSON(t *testing.T) {
	_, findings := engine.Parse("p.json", edit(t, `"Status": "enforce"`, `"Status": "perhaps"`))
	data, err := json.Marshal(findings)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"severity": "grants nothing", "file": "p.json", "line": 2.0, "column": 98.0, "policy": "p1", "index": 0.0, "path": "$.Status",
		"found": `"perhaps"`, "expected": "off, monitor, monitor_and_notify or enforce",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFindingNamesThePolicyIfItCan(t *testing.T) {
	at := fault.Fault{File: "p.json", Line: 7, Field: "$.Status", Found: "1", Expected: "2", Remedy: "3"}
	for _, tc := range []struct {
		finding Finding
		want    string
	}{
		{Finding{Fault: at, Policy: "a b"}, `p.json:7: policy "a b", $.Status: found 1, expected 2; 3`},
		{Finding{Fault: at, Index: 4}, `p.json:7: policy 5 of the file, $.Status: found 1, expected 2; 3`},
		{Finding{Fault: at, Index: -1}, `p.json:7, $.Status: found 1, expected 2; 3`},
		{Finding{Fault: fault.Fault{File: "p\n.json", Found: "\x1b[2J", Expected: "2"}}, "p\ufffd.json: found \ufffd[2J, expected 2"},
		{Finding{Fault: fault.Fault{File: "p.json", Found: "1", Expected: "2"}}, `p.json: found 1, expected 2`},
	} {
		if got := tc.finding.Error(); got != tc.want {
			t.Errorf("got %s\nwant %s", got, tc.want)
		}
	}
}

func TestOnlyAFaultIsFaulty(t *testing.T) {
	if Faulty([]Finding{{Severity: Note}, {Severity: Doubt}}) || Faulty(nil) {
		t.Error("notes and doubts are no fault")
	}
	if !Faulty([]Finding{{Severity: Note}, {Severity: Fault}}) {
		t.Error("a fault behind a note is overlooked")
	}
}

// Each finding about something that the file says has the place of just that.
func TestFindingsPointAtTheValue(t *testing.T) {
	for _, tc := range []struct{ old, new, at string }{
		{`"Status": "enforce"`, `"Status": "perhaps"`, `"perhaps"`},
		{`["MFA", "JUSTIFY"]`, `["MFA", "FINGERPRINT"]`, `"FINGERPRINT"`},
		{`"UserCheck": ["*"]`, `"UserCheck": ["*", 7]`, `7], "MachineCheck"`},
		{`"UserCheck": ["*"]`, `"UserCheck": ["*", "%nosuch"]`, `"%nosuch"`},
		{`"MachineCheck": ["*"]`, `"MachineCheck": ["web*"]`, `"web*"`},
		{`"ApplicationCheck": ["*"]`, `"ApplicationCheck": ["x", "{nosuch}"]`, `"{nosuch}"`},
		{`"CertificationCheck": []`, `"CertificationCheck": ["?"]`, `"?"`},
		{`"EndTime": "18"`, `"EndTime": "24"`, `{"StartTime": "9"`},
		{`"DayCheck": [1, 5]`, `"DayCheck": [1, 9]`, `9], "CertificationCheck"`},
		{`"Extension": {}`, `"Extension": {"Else": true}`, `true}`},
		{`"CheckUser()"`, `"CheckRole()"`, `"CheckRole()"`},
		{`"Operator": "And",`, `"Operator": "And"`, `"Rules": [`},
	} {
		data := edit(t, tc.old, tc.new)
		policies, findings := engine.Parse("p.json", data)
		_, more := engine.Compile(policies, linux())
		if findings = append(findings, more...); len(findings) != 1 {
			t.Fatalf("%s: %v", tc.new, findings)
		}
		f := findings[0]
		line := strings.Split(string(data), "\n")[f.Line-1]
		if !strings.HasPrefix(line[f.Column-1:], tc.at) {
			t.Errorf("%s: %d:%d is %q", tc.new, f.Line, f.Column, line[f.Column-1:])
		}
	}
}
