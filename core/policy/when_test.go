package policy

import (
	"testing"
	"time"
)

// When a policy holds, on a machine in a given zone. Moments are written in UTC.
func TestWhen(t *testing.T) {
	const (
		sunday   = `"DateCheck": [{"StartDate": "2026-09-06", "EndDate": "2026-09-06"}]`
		before   = `"DateCheck": [{"StartDate": "2026-09-01", "EndDate": "2026-09-05"}]`
		instants = `"DateCheck": [{"StartDate": 1767225600000, "EndDate": 1767225601000}]`
		hour     = `"TimeCheck": [{"StartTime": "9:30:15", "EndTime": "10:00:30"}]`
		night    = `"TimeCheck": [{"StartTime": 22, "EndTime": 6}]`
		friday   = `"DayCheck": [5]`
	)
	for _, tc := range []struct {
		name, zone, filter, moment string
		want                       bool
	}{
		{"the last second before", "UTC", hour, "2026-11-18T09:30:14Z", false},
		{"the first second", "UTC", hour, "2026-11-18T09:30:15Z", true},
		{"the last second", "UTC", hour, "2026-11-18T10:00:29.999999999Z", true},
		{"the second after", "UTC", hour, "2026-11-18T10:00:30Z", false},
		{"a zone of half hours", "Asia/Kolkata", hour, "2026-11-18T04:00:15Z", true},
		{"the first second of a night", "UTC", night, "2026-11-18T22:00:00Z", true},
		{"the second before a night", "UTC", night, "2026-11-18T21:59:59Z", false},
		{"the end of a night", "UTC", night, "2026-11-18T06:00:00Z", false},
		{"the second of two times", "UTC", `"TimeCheck": [{"StartTime": 1, "EndTime": 2}, {"StartTime": 9, "EndTime": 10}]`, "2026-11-18T09:59:59Z", true},
		{"between two times", "UTC", `"TimeCheck": [{"StartTime": 1, "EndTime": 2}, {"StartTime": 9, "EndTime": 10}]`, "2026-11-18T05:00:00Z", false},
		{"an instant before", "UTC", instants, "2025-12-31T23:59:59.999Z", false},
		{"the first instant", "UTC", instants, "2026-01-01T00:00:00Z", true},
		{"the last instant counts", "UTC", instants, "2026-01-01T00:00:01Z", true},
		{"an instant after", "UTC", instants, "2026-01-01T00:00:01.001Z", false},
		{"instants know no zone", "Pacific/Kiritimati", instants, "2026-01-01T00:00:01Z", true},
		{"instants before 1970", "UTC", `"DateCheck": [{"StartDate": -2000, "EndDate": -1000}]`, "1969-12-31T23:59:58.5Z", true},
		{"a month later", "UTC", sunday, "2026-10-06T12:00:00Z", false},
		{"a year earlier", "UTC", sunday, "2025-09-06T12:00:00Z", false},
		{"over the end of a year", "UTC", `"DateCheck": [{"StartDate": "2025-12-31", "EndDate": "2026-01-01"}]`, "2026-01-01T23:59:59Z", true},
		{"after the end of a year", "UTC", `"DateCheck": [{"StartDate": "2025-12-31", "EndDate": "2026-01-01"}]`, "2026-01-02T00:00:00Z", false},
		{"the day before in the east", "Pacific/Kiritimati", sunday, "2026-09-05T09:59:59Z", false},
		{"the day in the east", "Pacific/Kiritimati", sunday, "2026-09-05T10:00:00Z", true},
		// Attack: at 24:00 of 5 September it is 1:00 in Chile. The day before has
		// its last hour, and the day that has no 0:00 none of it.
		{"no midnight: the last hour before", "America/Santiago", sunday, "2026-09-06T03:59:59Z", false},
		{"no midnight: the first second", "America/Santiago", sunday, "2026-09-06T04:00:00Z", true},
		{"no midnight: the last second", "America/Santiago", sunday, "2026-09-07T02:59:59Z", true},
		{"no midnight: after the day", "America/Santiago", sunday, "2026-09-07T03:00:00Z", false},
		{"no midnight: the days before last until it", "America/Santiago", before, "2026-09-06T03:59:59Z", true},
		{"no midnight: the days before end with it", "America/Santiago", before, "2026-09-06T04:00:00Z", false},
		// At 1:00 of 29 October 2021 it was 0:00 again in Jordan.
		{"two midnights: the first", "Asia/Amman", `"DateCheck": [{"StartDate": "2021-10-29", "EndDate": "2021-10-29"}]`, "2021-10-28T21:00:00Z", true},
		{"two midnights: the second before", "Asia/Amman", `"DateCheck": [{"StartDate": "2021-10-29", "EndDate": "2021-10-29"}]`, "2021-10-28T20:59:59Z", false},
		// At 24:00 of 4 April it is 23:00 again in Chile: Saturday has 25 hours.
		{"a day of 25 hours, in its last", "America/Santiago", `"DayCheck": [6]`, "2026-04-05T03:59:59Z", true},
		{"a day of 25 hours, after it", "America/Santiago", `"DayCheck": [6]`, "2026-04-05T04:00:00Z", false},
		{"an hour that comes twice, at night", "America/Santiago", `"TimeCheck": [{"StartTime": 23, "EndTime": 0}]`, "2026-04-05T03:30:00Z", true},
		// 30 December 2011 was left out in Samoa.
		{"a day that was not", "Pacific/Apia", `"DateCheck": [{"StartDate": "2011-12-30", "EndDate": "2011-12-30"}]`, "2011-12-30T10:00:00Z", false},
		{"the day after it", "Pacific/Apia", `"DateCheck": [{"StartDate": "2011-12-31", "EndDate": "2011-12-31"}]`, "2011-12-30T10:00:00Z", true},
		// Days, dates and times are each on their own, and all must be met.
		{"friday in the zone", "Asia/Tokyo", friday, "2026-11-19T15:00:00Z", true},
		{"thursday in the zone", "Asia/Tokyo", friday, "2026-11-19T14:59:59Z", false},
		{"the small hours of friday", "UTC", friday + ", " + night, "2026-11-20T05:00:00Z", true},
		{"the small hours of saturday", "UTC", friday + ", " + night, "2026-11-21T05:00:00Z", false},
		{"the day, and not the time", "UTC", friday + ", " + hour, "2026-11-20T09:00:00Z", false},
		{"the time, and not the day", "UTC", friday + ", " + hour, "2026-11-18T09:45:00Z", false},
		{"day and time, and not the date", "UTC", friday + ", " + hour + ", " + sunday, "2026-11-20T09:45:00Z", false},
		{"the date, and not the time", "UTC", sunday + ", " + hour, "2026-09-06T12:00:00Z", false},
		{"date and time", "UTC", sunday + ", " + hour, "2026-09-06T09:45:00Z", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			q := ask("/usr/bin/id", "id", "id")
			if q.Time, err = time.Parse(time.RFC3339Nano, tc.moment); err != nil {
				t.Fatal(err)
			}
			q.Time = q.Time.In(zone)
			want := nothing
			if tc.want {
				want = full
			}
			if got := meets(t, linux(), sketch{extra: ", " + tc.filter}, q); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// The zone is the question's, whatever it was before: machines move.
func TestWhenTheZoneIsAnother(t *testing.T) {
	q := ask("/usr/bin/id", "id", "id")
	q.Time = q.Time.UTC() // 11:00 there
	for hours, want := range map[string]strength{`{"StartTime": 11, "EndTime": 12}`: full, `{"StartTime": 12, "EndTime": 13}`: nothing} {
		if got := meets(t, linux(), sketch{extra: `, "TimeCheck": [` + hours + `]`}, q); got != want {
			t.Errorf("%s: %v, want %v", hours, got, want)
		}
	}
}

// What cannot be read restricts at any time: it may have meant this one.
func TestWhenItCannotBeRead(t *testing.T) {
	for _, filter := range []string{
		`"DateCheck": [{"StartDate": "2001-01-01", "EndDate": "2001-01-01"}, {}]`,
		`"TimeCheck": [{"StartTime": 1, "EndTime": 2}, {"StartTime": "noon"}]`,
		`"TimeCheck": [{"StartTime": 3, "EndTime": 3}, {"StartTime": 1, "EndTime": 2}]`,
		`"DayCheck": [0, "Monday"]`,
		`"DayCheck": ["Monday", 0]`,
		`"DayChek": [0]`,
		`"HolidayCheck": []`,
		`"Filters": {"DayCheck": {"Days": [0]}}`,
	} {
		if got := meets(t, linux(), sketch{extra: ", " + filter}, ask("/usr/bin/id", "id", "id")); got != restricts {
			t.Errorf("%s: %v", filter, got)
		}
	}
}

func TestWhatIsSaidAboutTimes(t *testing.T) {
	got := said(t, linux(), sketch{id: "t", controls: "ALLOW", extra: `, "DateCheck": [{"StartDate": "2026-01-02", "EndDate": "2026-01-01"}],
		"TimeCheck": [{"StartTime": 9, "EndTime": "9:00"}],
		"DayCheck": [0, [7], true]`})
	want := []string{
		`grants nothing: s.json:2: policy "t", $.DateCheck[0]: found a span that cannot be read, expected StartDate, EndDate or both, "YYYY-MM-DD" or milliseconds since 1970, in that order; leave DateCheck empty to mean every day`,
		`grants nothing: s.json:3: policy "t", $.TimeCheck[0]: found a span that cannot be read, expected StartTime, EndTime or both, two different times such as "9" and "17:30"; leave TimeCheck empty to mean all day`,
		`grants nothing: s.json:4: policy "t", $.DayCheck[1]: found an array, expected a number from 0 (Sunday) to 6 (Saturday)`,
		`grants nothing: s.json:4: policy "t", $.DayCheck[2]: found true, expected a number from 0 (Sunday) to 6 (Saturday)`,
	}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s\nwant %s", got[i], want[i])
		}
	}
}
