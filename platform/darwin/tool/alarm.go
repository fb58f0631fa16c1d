package tool

import (
	"fmt"
	"strings"
	"time"
)

// AlarmService is an alarm as launchctl's subcommands take it, and alarmLabel its name
// for launchd.
func AlarmService(name string) string { return "system/" + alarmLabel(name) }

func alarmLabel(name string) string { return Label + ".alarm." + name }

// Bounds of an alarm. A calendar interval names no year. leadTime is what it may take
// until launchd knows of it: a minute that has begun by then is next year's.
const (
	longestAlarm = 300 * 24 * time.Hour
	leadTime     = 45 * time.Second
)

// AlarmTime is the minute in which an alarm goes off that is set now, on the clock on
// the wall: launchd knows minutes, and no seconds. It is never early, by less than two
// minutes late, and by an hour more where the wall clock is set back in between: what
// the clock shows then, it has shown before, and that would be early.
func AlarmTime(now time.Time, in time.Duration) (time.Time, error) {
	if in > longestAlarm {
		return time.Time{}, fmt.Errorf("an alarm in %s: launchd knows no year; at most %s", in, longestAlarm)
	}
	at := now.Add(max(in, leadTime)).Add(time.Minute - 1)
	at = at.Add(-time.Duration(at.Second())*time.Second - time.Duration(at.Nanosecond()))
	_, before := now.Zone()
	_, then := at.Zone()
	if back := time.Duration(before-then) * time.Second; back > 0 && at.Add(-back).After(now) {
		at = at.Add(back)
	}
	return at, nil
}

// Alarm returns an alarm's description for launchd (launchd.plist(5)): it runs argv as
// root, in the minute of at.
//
// LaunchOnlyOnce keeps it from running again, as it would a year later; launchd then
// takes the job away by itself (launchd 842, src/core.c, job_useless). A machine that
// sleeps at that minute runs it when it wakes.
func Alarm(name string, at time.Time, argv []string) []byte {
	return description([]property{
		{"Label", alarmLabel(name)},
		{"ProgramArguments", argv},
		{"LaunchOnlyOnce", true},
		{"StartCalendarInterval", []property{
			{"Month", int(at.Month())}, {"Day", at.Day()}, {"Hour", at.Hour()}, {"Minute", at.Minute()},
		}},
		{"Umask", 0o022},
		{"StandardErrorPath", "/var/log/" + Label + ".log"},
	})
}

// SetAlarm and ClearAlarm have launchd know of a description, or forget an alarm.
func SetAlarm(file string) []string { return []string{Launchctl, "bootstrap", "system", file} }

// ClearAlarm is described at SetAlarm.
func ClearAlarm(name string) []string { return []string{Launchctl, "bootout", AlarmService(name)} }

// Cleared reports whether launchd knows an alarm no more, by the status of bootout and
// what it has said: it has forgotten it, or there was none.
func Cleared(status int, said string) bool {
	switch status {
	case 0:
		return true
	case 3:
		return strings.Contains(said, "No such process")
	case 113:
		return strings.Contains(said, "Could not find")
	}
	return false
}
