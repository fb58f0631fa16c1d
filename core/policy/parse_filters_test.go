package policy

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestClock(t *testing.T) {
	for text, want := range map[string]int{
		`"0"`: 0, `"9"`: 9 * 3600, `9`: 9 * 3600, `"23"`: 23 * 3600, `"09:05"`: 9*3600 + 5*60, `"9:5"`: 9*3600 + 5*60, `"23:59:59"`: 86399, `"00:00:01"`: 1,
		`"24"`: -1, `"9:60"`: -1, `"9:00:60"`: -1, `"9:00:00:00"`: -1, `":30"`: -1, `"9:"`: -1, `"+9"`: -1, `"-9"`: -1, `" 9"`: -1,
		`"009"`: -1, `"9h"`: -1, `9.5`: -1, `-1`: -1, `1e1`: -1, `true`: -1, `[]`: -1, `"٣"`: -1, // a digit of another script
	} {
		p, findings := parseWith(t, `"TimeCheck"`, `[{"StartTime": "12:34:56", "EndTime": `+text+`}]`)
		if want < 0 {
			if !p.Doubtful || len(p.Times) != 0 {
				t.Errorf("%s: got %v, %v", text, p.Times, findings)
			}
			continue
		}
		if len(p.Times) != 1 || p.Times[0] != (TimeRange{12*3600 + 34*60 + 56, want}) {
			t.Errorf("%s: got %v, %v", text, p.Times, findings)
		}
	}
}

// parseWith parses a policy that has one more filter.
func parseWith(t interface{ Fatal(...any) }, key, value string) (Policy, []Finding) {
	policies, findings := engine.Parse("f.json", []byte(sketch{id: "p", controls: "ALLOW", extra: ", " + key + ": " + value}.json()))
	if len(policies) != 1 {
		t.Fatal(findings)
	}
	return policies[0], findings
}

// Every second of a day comes back from how people write it.
func TestEverySecondOfTheDayCanBeWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := rapid.IntRange(0, 86398).Draw(t, "second")
		text := fmt.Sprintf(`[{"StartTime": "%02d:%02d:%02d", "EndTime": "23:59:59"}]`, second/3600, second/60%60, second%60)
		if p, findings := parseWith(t, `"TimeCheck"`, text); len(findings) != 0 || p.Times[0].From != second {
			t.Fatalf("%s: got %v, %v", text, p.Times, findings)
		}
	})
}

func TestDateSpans(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		ok       bool
	}{
		{`"2025-01-01"`, `"2025-01-01"`, true},
		{`"2024-02-29"`, `"2024-03-01"`, true},
		{`0`, `0`, true},
		{`-1000`, `1000`, true},
		{`"2025-02-29"`, `"2025-03-01"`, false},
		{`"2025-01-02"`, `"2025-01-01"`, false},
		{`1000`, `999`, false},
		{`"2025-01-01"`, `1735776000000`, false},
		{`1.5`, `2`, false},
		{`1e3`, `2000`, false},
		{`0`, `9223372036854775807`, false}, // its end would be before its beginning
		{`0`, `99999999999999999999`, false},
		{`"01.01.2025"`, `"02.01.2025"`, false},
		{`"2025-1-1"`, `"2025-1-2"`, false},
		{`"2025-01-01T00:00:00Z"`, `"2025-01-02T00:00:00Z"`, false},
		{`null`, `"2025-01-01"`, true},
		{`""`, `1000`, true},
		{`"2025-01-01"`, `" "`, true},
		{`1000`, `null`, true},
		{`null`, `""`, false},
		{`["2025-01-01"]`, `"2025-01-01"`, false},
	} {
		p, findings := parseWith(t, `"DateCheck"`, `[{"StartDate": `+tc.from+`, "EndDate": `+tc.to+`}]`)
		if (len(p.Dates) == 1) != tc.ok || p.Doubtful == tc.ok {
			t.Errorf("%s to %s: got %v, %v", tc.from, tc.to, p.Dates, findings)
		}
	}
	// What the rest would leave out may be what was meant.
	if p, _ := parseWith(t, `"DateCheck"`, `[{"StartDate": 0, "EndDate": 1}, {"StartDate": "?"}]`); len(p.Dates) != 0 || !p.Doubtful {
		t.Errorf("one span that cannot be read beside one that can: %v", p.Dates)
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]uint8{
		`[]`: 0, `null`: 0, `["*"]`: 0, `[0]`: 1, `[6, 0, 6]`: 1<<6 | 1, `[0,1,2,3,4,5,6]`: 127,
	} {
		if p, findings := parseWith(t, `"DayCheck"`, text); p.Days != want || p.Doubtful {
			t.Errorf("%s: got %b, %v", text, p.Days, findings)
		}
	}
	for _, text := range []string{`[7]`, `[-1]`, `[1.0]`, `["1"]`, `[1, null]`, `[true]`, `[[1]]`} {
		if p, findings := parseWith(t, `"DayCheck"`, text); p.Days != 0 || !p.Doubtful {
			t.Errorf("%s: got %b, %v", text, p.Days, findings)
		}
	}
}

// Attack: a file that is small, and large where it is looked at.
func TestLimitsOfOneValue(t *testing.T) {
	many := func(n int, item func(i int) string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = item(i)
		}
		return strings.Join(list, ",")
	}
	users := func(n int) string { return "[" + many(n, func(int) string { return `"a"` }) + "]" }
	keys := func(n int) string {
		return "{" + many(n, func(i int) string { return fmt.Sprintf(`"k%d": 0`, i) }) + "}"
	}
	for _, tc := range []struct {
		name, key, value string
		want             Severity
	}{
		{"as many entries as allowed", `"CertificationCheck"`, users(maxEntries), Note},
		{"one entry more", `"CertificationCheck"`, users(maxEntries + 1), Doubt},
		{"as many keys as allowed", `"Extension"`, keys(maxMembers), Doubt},
		{"one key more", `"Extension"`, keys(maxMembers + 1), Fault},
		{"as long a text as allowed", `"CertificationCheck"`, `["` + strings.Repeat("x", maxText) + `"]`, Note},
		{"one byte more", `"CertificationCheck"`, `["` + strings.Repeat("x", maxText+1) + `"]`, Doubt},
		{"depth that nobody looks into", `"approvers"`, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), Note},
	} {
		worst := Note
		_, findings := parseWith(t, tc.key, tc.value)
		for _, f := range findings {
			worst = max(worst, f.Severity)
		}
		if worst != tc.want {
			t.Errorf("%s: %.300v", tc.name, findings)
		}
	}
}

// A span that is open at one end holds from there on, or until there.
func TestSpansWithOneEnd(t *testing.T) {
	for filter, want := range map[string]bool{
		`"DateCheck": [{"StartDate": "2026-11-18"}]`:                  true, // it is noon of that day
		`"DateCheck": [{"StartDate": "2026-11-19"}]`:                  false,
		`"DateCheck": [{"EndDate": "2026-11-18"}]`:                    true,
		`"DateCheck": [{"EndDate": "2026-11-17", "StartDate": null}]`: false,
		`"DateCheck": [{"StartDate": 0, "EndDate": ""}]`:              true,
		`"DateCheck": [{"EndDate": 0}]`:                               false,
		`"DateCheck": ["*"]`:                                          true,
		`"TimeCheck": [{"StartTime": "12"}]`:                          true,
		`"TimeCheck": [{"StartTime": "13"}]`:                          false,
		`"TimeCheck": [{"EndTime": "13"}]`:                            true,
		`"TimeCheck": [{"EndTime": "12"}]`:                            false,
		`"TimeCheck": [{"StartTime": ""}, {"EndTime": "13"}]`:         false, // the first is no span: nothing is granted
		`"TimeCheck": ["*"]`:                                          true,
		`"DayCheck": ["*"]`:                                           true,
	} {
		s := sketch{controls: "ALLOW", extra: ", " + filter}
		if got := compileSketches(t, linux(), s).Decide(ask("/usr/bin/id", "id", "id")); (got.Outcome == "ALLOW") != want {
			t.Errorf("%s: got %s", filter, got.Outcome)
		}
	}
}

// Controls come as an array or, from the vendor's tool, as lines of one string.
func TestControlsAsOneString(t *testing.T) {
	for text, want := range map[string]string{
		`"ALLOW"`: "[ALLOW]", `"MFA\nJUSTIFY"`: "[MFA JUSTIFY]", `"MFA\r\n justify \r\n"`: "[MFA JUSTIFY]", `["MFA\nJUSTIFY"]`: "[MFA JUSTIFY]", `""`: "[]",
	} {
		policies, findings := engine.Parse("c.json", edit(t, `["MFA", "JUSTIFY"]`, text))
		if got := fmt.Sprint(policies[0].Controls); got != want || policies[0].Doubtful {
			t.Errorf("%s: got %s, %v", text, got, findings)
		}
	}
	// A list that is no list of ours still denies.
	policies, _ := engine.Parse("c.json", edit(t, `["MFA", "JUSTIFY"]`, `"DENY; AUDIT"`))
	if got := fmt.Sprint(policies[0].Controls); got != "[DENY AUDIT]" || !policies[0].Doubtful {
		t.Errorf("got %s", got)
	}
}
