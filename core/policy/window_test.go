package policy

import (
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// windowed is a policy that asks for approval, with a window.
func windowed(id, window string) sketch {
	return sketch{id: id, controls: "APPROVAL", extra: `, "Extension": {"AutomaticApproval": ` + window + `}`}
}

// automaticAt is until when approval is given automatically at a moment, in UTC;
// empty if it is not.
func automaticAt(t *testing.T, set *Set, at time.Time) string {
	t.Helper()
	q := ask("/usr/bin/id", "id", "id")
	q.Time = at
	d := set.Decide(q)
	if d.Outcome != core.Pending || len(d.Approvals) != 1 {
		t.Fatalf("%+v", d)
	}
	if auto := d.Approvals[0].Automatic; auto != nil {
		return time.UnixMilli(auto.Until).UTC().Format(time.RFC3339)
	}
	return ""
}

// When approval is given automatically, and until when, where clocks are changed
// (W17). Moments are in UTC: Berlin is at +1, from 29 March to 25 October 2026 at +2;
// New York at -5, from 8 March to 1 November at -4.
func TestAutomaticApprovalOverChangesOfClocks(t *testing.T) {
	const (
		office  = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}], "DayCheck": [1, 2, 3, 4, 5]}`
		early   = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "1:30", "EndTime": "2:30"}]}`
		across  = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "1", "EndTime": "4"}]}`
		gone    = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "2", "EndTime": "3"}]}`
		newYork = `{"TimeZone": "America/New_York", "TimeCheck": [{"StartTime": "9", "EndTime": "17:30"}]}`
		night   = `{"TimeZone": "America/New_York", "TimeCheck": [{"StartTime": "22", "EndTime": "6"}]}`
		sundays = `{"TimeZone": "America/New_York", "TimeCheck": [{"StartTime": "22", "EndTime": "6"}], "DayCheck": [0]}`
		lunch   = `{"TimeZone": "UTC", "TimeCheck": [{"StartTime": "9", "EndTime": "12"}, {"StartTime": "12", "EndTime": "13"}, {"StartTime": "14", "EndTime": "17"}]}`
		dated   = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "22", "EndTime": "6"}], "DateCheck": [{"StartDate": "2026-03-28", "EndDate": "2026-03-28"}]}`
		instant = `{"TimeZone": "UTC", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}], "DateCheck": [{"StartDate": 1774774800000, "EndDate": 1774778399999}]}`
	)
	for _, tc := range []struct{ name, window, at, until string }{
		{"winter: the second before", office, "2026-03-27T07:59:59Z", ""},
		{"winter: the first second", office, "2026-03-27T08:00:00Z", "2026-03-27T16:00:00Z"},
		{"winter: the last moment", office, "2026-03-27T15:59:59.999Z", "2026-03-27T16:00:00Z"},
		{"winter: the end", office, "2026-03-27T16:00:00Z", ""},
		{"a Sunday", office, "2026-03-29T10:00:00Z", ""},
		{"summer: an hour earlier", office, "2026-03-30T07:00:00Z", "2026-03-30T15:00:00Z"},
		{"summer: the second before", office, "2026-03-30T06:59:59Z", ""},
		{"summer: the end", office, "2026-03-30T15:00:00Z", ""},
		// On 29 March it is 3:00 after 1:59:59, on 25 October 2:00 after 2:59:59.
		{"cut off by the change", early, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"after it was cut off", early, "2026-03-29T01:00:00Z", ""},
		{"an hour that is not there", gone, "2026-03-29T01:00:00Z", ""},
		{"an hour that is not there, before", gone, "2026-03-29T00:59:59Z", ""},
		{"over the hour that is not there", across, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z"},
		{"over the hour that comes twice", across, "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z"},
		{"in the hour that comes twice, first", early, "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z"},
		{"between the two", early, "2026-10-25T00:45:00Z", ""},
		{"in the hour that comes twice, again", early, "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
		{"all of both", gone, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"},
		{"another zone: winter", newYork, "2026-03-06T14:00:00Z", "2026-03-06T22:30:00Z"},
		{"another zone: summer", newYork, "2026-03-09T13:00:00Z", "2026-03-09T21:30:00Z"},
		{"another zone: before", newYork, "2026-03-09T12:59:59Z", ""},
		// Between the two changes the zones are an hour nearer.
		{"another zone while this one has not changed", newYork, "2026-03-27T13:00:00Z", "2026-03-27T21:30:00Z"},
		{"a night of seven hours", night, "2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z"},
		{"a night of nine hours", night, "2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z"},
		// Days and times are each on their own: the small hours of Sunday, and its evening.
		{"the evening before", sundays, "2026-03-08T03:00:00Z", ""},
		{"the small hours", sundays, "2026-03-08T06:30:00Z", "2026-03-08T10:00:00Z"},
		{"the evening", sundays, "2026-03-09T03:00:00Z", "2026-03-09T04:00:00Z"},
		{"times that meet", lunch, "2026-03-27T11:00:00Z", "2026-03-27T13:00:00Z"},
		{"between times", lunch, "2026-03-27T13:30:00Z", ""},
		{"until the end of a date", dated, "2026-03-28T22:00:00Z", "2026-03-28T23:00:00Z"},
		{"after a date", dated, "2026-03-28T23:00:00Z", ""},
		{"until an instant", instant, "2026-03-29T09:30:00Z", "2026-03-29T10:00:00Z"},
		{"after an instant", instant, "2026-03-29T10:00:00Z", ""},
	} {
		set := compileSketches(t, linux(), windowed("p", tc.window))
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		for _, machine := range []string{"UTC", "Asia/Tokyo", "America/Santiago"} { // whose zone is of no account
			zone, err := time.LoadLocation(machine)
			if err != nil {
				t.Fatal(err)
			}
			if got := automaticAt(t, set, at.In(zone)); got != tc.until {
				t.Errorf("%s, on a machine in %s: until %q, expected %q", tc.name, machine, got, tc.until)
			}
		}
	}
}

// What an answer says of when a window closes is when it does: every minute of two
// years is held against it.
func TestAWindowClosesWhenItSays(t *testing.T) {
	for _, window := range []string{
		`{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "1:30", "EndTime": "2:30"}, {"StartTime": "23", "EndTime": "0:15"}]}`,
		`{"TimeZone": "America/Santiago", "TimeCheck": [{"StartTime": "22", "EndTime": "1"}], "DayCheck": [0, 6]}`,
		`{"TimeZone": "Australia/Lord_Howe", "TimeCheck": [{"StartTime": "1:45", "EndTime": "2:15"}]}`,
	} {
		policies, _ := engine.Parse("w.json", []byte(windowed("p", window).json()))
		w := policies[0].Automatic
		var closes time.Time
		for at, end := noon.UTC(), noon.AddDate(2, 0, 0); at.Before(end); at = at.Add(time.Minute) {
			open := w.open(at)
			if !closes.IsZero() && open != at.Before(closes) {
				t.Fatalf("%s: at %s it is open: %v, and was to close at %s", window, at, open, closes)
			}
			if closes = (time.Time{}); open {
				if closes, open = w.closes(at); !open {
					t.Fatalf("%s: at %s it does not close", window, at)
				}
			}
		}
	}
}

// A DENY holds in the window, and whoever is only restricted is approved by people.
func TestAutomaticApprovalNeverLoosens(t *testing.T) {
	const open = `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}]}`
	q := ask("/usr/bin/id", "id", "id")
	if d := compileSketches(t, linux(), windowed("p", open), sketch{id: "d", controls: "DENY"}).Decide(q); d.Outcome != core.Deny {
		t.Errorf("beside a DENY: %+v", d)
	}
	allow := sketch{id: "allow", controls: "ALLOW"}
	doubtful := windowed("p", open)
	doubtful.users = []string{"%nosuch"} // restricts everyone
	if d := compileSketches(t, linux(), doubtful, allow).Decide(q); d.Outcome != core.Pending || d.Approvals[0].Automatic != nil {
		t.Errorf("who is only restricted: %+v", d)
	}
	misspelt := windowed("p", open)
	misspelt.extra += `, "RunAs": "root"`
	if d := compileSketches(t, linux(), misspelt, allow).Decide(q); d.Outcome != core.Pending || d.Approvals[0].Automatic != nil {
		t.Errorf("a policy that cannot be read: %+v", d)
	}
	if d := compileSketches(t, linux(), windowed("p", open), allow).Decide(q); d.Outcome != core.Pending || d.Approvals[0].Automatic == nil {
		t.Errorf("else: %+v", d)
	}
}

// What is wrong in a window grants nothing: least of all a window without an end.
func TestWindowsThatCannotBeRead(t *testing.T) {
	const nine = `"TimeCheck": [{"StartTime": "9", "EndTime": "17"}]`
	for window, says := range map[string]string{
		`{` + nine + `}`:                               `$.Extension.AutomaticApproval.TimeZone: found none, expected a time zone by its IANA name`,
		`{"TimeZone": "Local", ` + nine + `}`:          `.TimeZone: found "Local", expected a time zone by its IANA name`,
		`{"TimeZone": "Europe/Berln", ` + nine + `}`:   `.TimeZone: found "Europe/Berln"`,
		`{"TimeZone": "../../etc/zone", ` + nine + `}`: `.TimeZone: found "../../etc/zone"`,
		`{"TimeZone": 1, ` + nine + `}`:                `.TimeZone: found 1`,
		`{"TimeZone": "UTC"}`:                          `what is approved automatically has to end every day`,
		`{"TimeZone": "UTC", "TimeCheck": ["*"]}`:      `what is approved automatically has to end every day`,
		`{"TimeZone": "UTC", "TimeCheck": [{"StartTime": "0", "EndTime": "12"}, {"StartTime": "11"}]}`: `found times that leave out no time of the day`,
		`{"TimeZone": "UTC", "TimeCheck": [{"StartTime": "9", "EndTime": "9"}]}`:                       `AutomaticApproval.TimeCheck[0]: found a span that cannot be read`,
		`{"TimeZone": "UTC", "DayCheck": [7], ` + nine + `}`:                                           `AutomaticApproval.DayCheck[0]: found 7`,
		`{"TimeZone": "UTC", "Days": [1], ` + nine + `}`:                                               `found an unknown key`,
		`{"TimeZone": "UTC", "TimeZone": "UTC", ` + nine + `}`:                                         `found the key twice`,
		`{"TimeZone": "UTC", "DayCheck": [` + strings.Repeat("1,", maxSpans) + `1], ` + nine + `}`:     `found more entries, expected at most 32`,
		`true`:     `found true, expected an object`,
		`"always"`: `found "always", expected an object`,
	} {
		if got := strings.Join(said(t, linux(), windowed("p", window)), "\n"); !strings.Contains(got, says) || !strings.Contains(got, "grants nothing: ") {
			t.Errorf("%s: %s\nexpected %s", window, got, says)
		}
		if d := compileSketches(t, linux(), windowed("p", window), sketch{id: "allow", controls: "ALLOW"}).Decide(ask("/usr/bin/id", "id", "id")); d.Outcome != core.Pending || d.Approvals[0].Automatic != nil {
			t.Errorf("%s: %+v", window, d)
		}
	}
	without := windowed("p", `{"TimeZone": "UTC", `+nine+`}`)
	without.controls = "JUSTIFY"
	if got := said(t, linux(), without); len(got) != 1 || !strings.HasPrefix(got[0], "note: ") || !strings.Contains(got[0], "automatic approval in a policy that asks for none") {
		t.Errorf("%q", got)
	}
}

// Lint names a window that is never open when the policy applies.
func TestAWindowThatIsNeverOpen(t *testing.T) {
	const nine = `"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}]`
	for _, tc := range []struct {
		name, window, beside string
		never                bool
	}{
		{"always", `{` + nine + `}`, ``, false},
		{"another time", `{` + nine + `}`, `, "TimeCheck": [{"StartTime": "18", "EndTime": "22"}]`, true},
		{"a minute of both", `{` + nine + `}`, `, "TimeCheck": [{"StartTime": "16:59", "EndTime": "22"}]`, false},
		{"another day", `{` + nine + `, "DayCheck": [1]}`, `, "DayCheck": [0, 2, 3]`, true},
		{"the same day", `{` + nine + `, "DayCheck": [1]}`, `, "DayCheck": [1]`, false},
		{"dates that are over", `{` + nine + `, "DateCheck": [{"EndDate": "2026-01-31"}]}`, ``, true},
		{"a date and no day of it", `{` + nine + `, "DayCheck": [1], "DateCheck": [{"StartDate": "2026-11-24", "EndDate": "2026-11-29"}]}`, ``, true},
		{"another date", `{` + nine + `, "DateCheck": [{"StartDate": "2026-12-01", "EndDate": "2026-12-01"}]}`, `, "DateCheck": [{"StartDate": "2026-12-02", "EndDate": "2026-12-03"}]`, true},
		{"an hour that is not there", `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "2", "EndTime": "3"}], "DateCheck": [{"StartDate": "2027-03-28", "EndDate": "2027-03-28"}]}`, ``, true},
		{"another zone's Sunday, by an hour", `{"TimeZone": "Asia/Tokyo", "TimeCheck": [{"StartTime": "0", "EndTime": "9"}], "DayCheck": [0]}`, `, "DayCheck": [6]`, false},
		{"another zone's Sunday, after it", `{"TimeZone": "Asia/Tokyo", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}], "DayCheck": [0]}`, `, "DayCheck": [6]`, true},
	} {
		s := windowed("p", tc.window)
		s.extra += tc.beside
		policies, findings := engine.Parse("w.json", []byte(s.json()))
		if len(findings) > 0 {
			t.Fatal(tc.name, findings)
		}
		known := func(string) bool { return true }
		got := lines(engine.Review(policies, linux(), Facts{User: known, Group: known, Program: func(p string) (string, bool, bool) { return p, false, true }, Now: noon}))
		if said := strings.Contains(strings.Join(got, "\n"), "$.Extension.AutomaticApproval: found a window that is not open"); said != tc.never {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

// explain says whether approval is given automatically, and why not.
func TestExplainAutomaticApproval(t *testing.T) {
	set := []sketch{windowed("p", `{"TimeZone": "Europe/Berlin", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}], "DayCheck": [3]}`)}
	for hours, want := range map[int]string{
		0: "asks for APPROVAL, and grants then; approval is given automatically 09:00:00 to 17:00:00, Wednesday in Europe/Berlin, now until 2026-11-18 17:00:00 CET",
		5: "asks for APPROVAL, and grants then; approval would be given automatically 09:00:00 to 17:00:00, Wednesday in Europe/Berlin, which it is not now",
	} {
		policies, _ := engine.Parse("w.json", []byte(set[0].json()))
		compiled, _ := engine.Compile(policies, linux())
		q := ask("/usr/bin/id", "id", "id")
		q.Time = noon.Add(time.Duration(hours) * time.Hour)
		if got := compiled.Explain(q, policies).Policies[0].Effect; got != want {
			t.Errorf("%s\nexpected %s", got, want)
		}
	}
}
