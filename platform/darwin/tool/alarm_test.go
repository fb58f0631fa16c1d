package tool

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// words are the texts of a description, in order.
func words(t *testing.T, plist []byte) (words []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(plist)))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return words
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plist)
		}
		switch token := token.(type) {
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				words = append(words, text)
			}
		case xml.StartElement:
			if token.Name.Local == "true" || token.Name.Local == "false" {
				words = append(words, token.Name.Local)
			}
		}
	}
}

// An alarm runs its words, none of them a shell's, once, in one minute of the year.
func TestAlarm(t *testing.T) {
	at := time.Date(2026, 11, 29, 5, 7, 0, 0, time.UTC)
	got := words(t, Alarm("G7", at, []string{"/a b/KeeperPrivilegeManager", "rights", "end-overdue", "--root", "/a b <&>"}))
	want := []string{
		"Label", "keeper-privilege-manager.alarm.G7", "ProgramArguments", "/a b/KeeperPrivilegeManager", "rights", "end-overdue", "--root", "/a b <&>",
		"LaunchOnlyOnce", "true", "StartCalendarInterval", "Month", "11", "Day", "29", "Hour", "5", "Minute", "7",
		"Umask", "18", "StandardErrorPath", "/var/log/keeper-privilege-manager.log",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for want, got := range map[string][]string{
		"/bin/launchctl|bootstrap|system|/a b/run/alarms/G7.plist":        SetAlarm("/a b/run/alarms/G7.plist"),
		"/bin/launchctl|bootout|system/keeper-privilege-manager.alarm.G7": ClearAlarm("G7"),
	} {
		if strings.Join(got, "|") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An alarm is never early, whatever becomes of the clock on the wall, and names a
// minute that has not begun when launchd hears of it.
func TestAlarmTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		now  time.Time
		in   time.Duration
		want string
	}{
		{time.Date(2026, 6, 1, 12, 0, 5, 0, berlin), time.Second, "12:01"},
		{time.Date(2026, 6, 1, 12, 0, 30, 0, berlin), time.Second, "12:02"}, // 12:01 would be too soon for launchd
		{time.Date(2026, 6, 1, 12, 0, 0, 0, berlin), 30 * time.Minute, "12:30"},
		{time.Date(2026, 6, 1, 12, 0, 0, 1, berlin), 30 * time.Minute, "12:31"},
		{time.Date(2026, 12, 31, 23, 59, 30, 0, berlin), time.Minute, "00:01"},
		{time.Date(2026, 3, 29, 1, 50, 0, 0, berlin), 20 * time.Minute, "03:10"}, // set forward at 2
		// Set back at 3, to 2: 2:30 comes twice, and the second one is meant.
		{time.Date(2026, 10, 25, 1, 30, 0, 0, berlin), 2 * time.Hour, "03:30"},
		{time.Date(2026, 10, 25, 1, 30, 0, 0, berlin), 3 * time.Hour, "04:30"},
		// The first 2:30 is over: there is one left.
		{time.Date(2026, 10, 25, 0, 45, 0, 0, time.UTC).In(berlin), 40 * time.Minute, "02:25"},
	} {
		at, err := AlarmTime(tc.now, tc.in)
		if err != nil || at.Format("15:04") != tc.want || at.Second() != 0 || at.Nanosecond() != 0 {
			t.Errorf("%s and %s: %s, %v, want %s", tc.now, tc.in, at, err, tc.want)
		}
		// launchd takes the first minute that looks so.
		first := tc.now.Add(leadTime)
		for first.Format("0102 1504") != at.Format("0102 1504") {
			first = first.Add(time.Second)
		}
		if first.Before(tc.now.Add(tc.in)) {
			t.Errorf("%s and %s: launchd takes %s for it, which is early", tc.now, tc.in, first)
		}
	}
	if at, err := AlarmTime(time.Now(), 366*24*time.Hour); err == nil {
		t.Errorf("%s, which launchd takes for one a year earlier", at)
	}
}

// Whether launchd knows an alarm no more, by what it has answered on Macs.
func TestCleared(t *testing.T) {
	for _, tc := range []struct {
		status int
		said   string
		want   bool
	}{
		{0, "", true},
		{3, answer(t, "launchctl-bootout-none-macos-unstated.txt"), true},
		{113, answer(t, "launchctl-print-none-macos-26.txt"), true},
		{36, answer(t, "launchctl-bootout-stops-macos-unstated.txt"), false},
		{5, answer(t, "launchctl-bootstrap-failed-macos-26.5.2.txt"), false},
		{3, "", false},
		{113, "", false},
		{1, "Boot-out failed: 1: Operation not permitted\n", false},
		{-1, answer(t, "launchctl-bootout-none-macos-unstated.txt"), false}, // it was killed
	} {
		if got := Cleared(tc.status, tc.said); got != tc.want {
			t.Errorf("%d, %q: %t, want %t", tc.status, tc.said, got, tc.want)
		}
	}
}
