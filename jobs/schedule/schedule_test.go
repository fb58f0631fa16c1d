package schedule

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 15, 10, 30, 0, 0, time.UTC)

// compiled compiles a schedule and returns its faults, one per line.
func compiled(t testing.TB, raw string) (s *Schedule, faults string) {
	t.Helper()
	var f File
	if err := json.Unmarshal([]byte(raw), &f); err != nil {
		t.Fatal(err)
	}
	s = Compile(json.RawMessage(raw), f, epoch, func(ok bool, field, found, expected string) {
		if !ok {
			faults += fmt.Sprintf("%s is %s, expected %s\n", field, found, expected)
		}
	})
	return s, faults
}

func sound(t testing.TB, raw string) *Schedule {
	t.Helper()
	s, faults := compiled(t, raw)
	if faults != "" {
		t.Fatal(raw, faults)
	}
	return s
}

func TestWhenSchedulesAreDue(t *testing.T) {
	for _, tc := range []struct{ raw, after, want string }{ // times are RFC 3339; three are enough
		{`{"intervalMinutes": 30}`, "2026-01-15T10:30:00Z", "2026-01-15T11:00:00Z 2026-01-15T11:30:00Z"},
		{`{"cronExpression": "30 3 * * *", "timeZone": "UTC"}`, "2026-01-15T10:30:00Z", "2026-01-16T03:30:00Z 2026-01-17T03:30:00Z"},
		{`{"cronExpression": "*/20 * * * *", "timeZone": "UTC"}`, "2026-01-15T10:30:00Z", "2026-01-15T10:40:00Z 2026-01-15T11:00:00Z"},
		{`{"cronExpression": "0 9 13 * fri", "timeZone": "UTC"}`, "2026-02-01T00:00:00Z", "2026-02-06T09:00:00Z 2026-02-13T09:00:00Z"}, // either day field
		{`{"cronExpression": "0 0 29 2 *", "timeZone": "UTC"}`, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{`{"cronExpression": "0 0 * * 7", "timeZone": "UTC"}`, "2026-01-15T00:00:00Z", "2026-01-18T00:00:00Z 2026-01-25T00:00:00Z"},
		{`{"cronExpression": "@daily", "timeZone": "Europe/Berlin"}`, "2026-01-15T10:30:00Z", "2026-01-15T23:00:00Z 2026-01-16T23:00:00Z"},
		// The clock is put forward on 29 March, from 2:00 to 3:00, and back on 25 October, from 3:00 to 2:00.
		{`{"cronExpression": "30 2 * * *", "timeZone": "Europe/Berlin"}`, "2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		{`{"cronExpression": "0,30 2 * * *", "timeZone": "Europe/Berlin"}`, "2026-03-28T23:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
		{`{"cronExpression": "30 2 * * *", "timeZone": "Europe/Berlin"}`, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		{`{"cronExpression": "30 * * * *", "timeZone": "Europe/Berlin"}`, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-25T02:30:00Z"},
		// Samoa had no 30 December 2011, and Lord Howe moves by half an hour.
		{`{"cronExpression": "0 12 30 12 *", "timeZone": "Pacific/Apia"}`, "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z 2012-12-29T22:00:00Z"},
		{`{"cronExpression": "45 1 * * *", "timeZone": "Australia/Lord_Howe"}`, "2026-04-03T20:00:00Z", "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z"},
		{`{"calendar": {"times": ["18:00", "06:00"], "weekdays": ["Mon", "friday"]}, "timeZone": "UTC"}`, "2026-01-15T10:30:00Z", "2026-01-16T06:00:00Z 2026-01-16T18:00:00Z 2026-01-19T06:00:00Z"},
		{`{"calendar": {"times": ["00:00"], "monthDays": [-1]}, "timeZone": "UTC"}`, "2026-01-15T10:30:00Z", "2026-01-31T00:00:00Z 2026-02-28T00:00:00Z"},
		{`{"calendar": {"times": ["08:00"], "nthWeekdays": [{"nth": 2, "weekday": "Tuesday"}, {"nth": -1, "weekday": "Fri"}]}, "timeZone": "UTC"}`, "2026-01-01T00:00:00Z", "2026-01-13T08:00:00Z 2026-01-30T08:00:00Z 2026-02-10T08:00:00Z"},
		{`{"calendar": {"times": ["08:00"], "months": [12], "monthDays": [24, 25], "exclude": ["2026-12-25"]}, "timeZone": "UTC"}`, "2026-01-01T00:00:00Z", "2026-12-24T08:00:00Z 2027-12-24T08:00:00Z 2027-12-25T08:00:00Z"},
		{`{"runAt": "2026-12-24T18:00:00+01:00"}`, "2026-01-01T00:00:00Z", "2026-12-24T17:00:00Z"},
		{`{"runAt": "2026-07-01T18:00", "timeZone": "Europe/Berlin"}`, "2026-01-01T00:00:00Z", "2026-07-01T16:00:00Z"},
		{`{"runAt": "2026-03-29T02:30:15", "timeZone": "Europe/Berlin"}`, "2026-01-01T00:00:00Z", "2026-03-29T01:00:15Z"},
	} {
		s := sound(t, tc.raw)
		at, err := time.Parse(time.RFC3339, tc.after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range strings.Fields(tc.want) {
			next, ok := s.Next(at)
			if !ok {
				break
			}
			got, at = append(got, next.UTC().Format(time.RFC3339)), next
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s after %s:\n got %s\nwant %s", tc.raw, tc.after, got, tc.want)
		}
	}
}

func TestFaultsOfSchedules(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`: "", `null`: "",
		`{"intervalMinutes": 0}`:                                                          "intervalMinutes is 0, expected 1 to",
		`{"intervalMinutes": 5, "cronExpression": "* * * * *"}`:                           "is an object with 2 of them, expected exactly one of",
		`{"timeZone": "UTC"}`:                                                             "is an object with 0 of them",
		`{"cronExpression": "* * * *"}`:                                                   "expected five fields",
		`{"cronExpression": "* * * * * *"}`:                                               "expected five fields",
		`{"cronExpression": "60 * * * *"}`:                                                "expected five fields",
		`{"cronExpression": "@every 5s"}`:                                                 "expected five fields",
		`{"cronExpression": "TZ=UTC * * * * *"}`:                                          "write it as timeZone beside it",
		`{"cronExpression": "0 0 31 4 *"}`:                                                "a time that never comes",
		`{"calendar": {}}`:                                                                "calendar.times is a list of 0",
		`{"calendar": {"times": ["25:00"]}}`:                                              `calendar.times[0] is "25:00"`,
		`{"calendar": {"times": ["08:00"], "weekdays": ["Someday"]}}`:                     "calendar.weekdays[0]",
		`{"calendar": {"times": ["08:00"], "monthDays": [0]}}`:                            "calendar.monthDays[0] is 0",
		`{"calendar": {"times": ["08:00"], "months": [13]}}`:                              "calendar.months[0] is 13",
		`{"calendar": {"times": ["08:00"], "months": [2], "monthDays": [30]}}`:            "a time that never comes",
		`{"calendar": {"times": ["08:00"], "exclude": ["tomorrow"]}}`:                     "calendar.exclude[0]",
		`{"calendar": {"times": ["08:00"], "nthWeekdays": [{"nth": 6, "weekday": "x"}]}}`: "calendar.nthWeekdays[0].nth is 6",
		`{"runAt": "tomorrow"}`:                                                           `runAt is "tomorrow", expected RFC 3339`,
		`{"intervalMinutes": 5, "missed": "always"}`:                                      `missed is "always"`,
		`{"intervalMinutes": 5, "timeZone": "Mars"}`:                                      `timeZone is "Mars"`,
	} {
		if _, faults := compiled(t, raw); (want == "") != (faults == "") || !strings.Contains(faults, want) {
			t.Errorf("%s: %q, want %q", raw, faults, want)
		}
	}
}

// Against an oracle that knows nothing but how to go through the minutes of a clock, in
// zones that move theirs by an hour, by half of one, at midnight and by a day.
func TestSchedulesAgainstAnOracle(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 60 {
		zone := zones[random.IntN(len(zones))]
		minute, hour := random.IntN(60), random.IntN(24)
		if random.IntN(2) == 0 {
			hour = random.IntN(4) // where clocks are moved
		}
		expression := fmt.Sprintf("%d %d * * *", minute, hour)
		everyHour := random.IntN(4) == 0
		if everyHour {
			expression = fmt.Sprintf("%d * * * *", minute)
		}
		s := sound(t, fmt.Sprintf(`{"cronExpression": %q, "timeZone": %q}`, expression, zone))
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		year := 2011
		if zone != "Pacific/Apia" {
			year = 2020 + random.IntN(10)
		}
		from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		until := from.AddDate(1, 0, 3)
		want := oracle(from, until, location, minute, hour, everyHour)
		at := from
		for i := 0; ; i++ {
			next, ok := s.Next(at)
			if !ok || !next.Before(until) {
				if i != len(want) {
					t.Errorf("%s in %s, %d: %d times, want %d", expression, zone, year, i, len(want))
				}
				break
			}
			if i >= len(want) || !next.Equal(want[i]) {
				t.Errorf("%s in %s: after %s comes %s", expression, zone, at, next)
				break
			}
			at = next
		}
	}
}

// oracle goes through every minute: a fixed time is due when the clock first shows it
// on a day, or when the clock skips it; a minute of every hour whenever it is shown.
func oracle(from, until time.Time, zone *time.Location, minute, hour int, everyHour bool) (due []time.Time) {
	shown := func(t time.Time) int { // minutes of the wall clock since its year 0
		y, m, d := t.In(zone).Date()
		return int(time.Date(y, m, d, t.In(zone).Hour(), t.In(zone).Minute(), 0, 0, time.UTC).Unix() / 60)
	}
	last, seen := shown(from), map[int]bool{}
	for t := from.Add(time.Minute); t.Before(until); t = t.Add(time.Minute) {
		now := shown(t)
		local := t.In(zone)
		switch {
		case everyHour:
			if local.Minute() == minute {
				due = append(due, t)
			}
		default:
			hit := false
			for w := last + 1; w <= now; w++ { // one step, or what the clock has skipped
				if ((w%1440)+1440)%1440 == hour*60+minute && !seen[w] {
					seen[w], hit = true, true
				}
			}
			if hit {
				due = append(due, t)
			}
		}
		last = now
	}
	return due
}

// Whatever is written in a file, nothing panics, and what has no fault can be searched.
func FuzzSchedules(f *testing.F) {
	for _, seed := range []string{`{"cronExpression": "30 2 * * mon-fri/2", "timeZone": "Europe/Berlin"}`, `{"calendar": {"times": ["02:30"], "monthDays": [-1]}}`, `{"runAt": "2026-12-24T18:00:00Z"}`} {
		f.Add(seed, int64(1774746000))
	}
	f.Fuzz(func(t *testing.T, raw string, at int64) {
		var file File
		if json.Unmarshal([]byte(raw), &file) != nil || at < 0 || at > 1<<33 {
			return
		}
		sound := true
		s := Compile(json.RawMessage(raw), file, epoch, func(ok bool, _, _, _ string) { sound = sound && ok })
		if s == nil || !sound {
			return
		}
		after := time.Unix(at, 0)
		if next, ok := s.Next(after); ok && !next.After(after) {
			t.Errorf("%s: after %s comes %s", raw, after, next)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	s := sound(b, `{"cronExpression": "30 2 * * mon-fri", "timeZone": "Europe/Berlin"}`)
	for b.Loop() {
		s.Next(epoch)
	}
}
