package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
)

// parseCron reads five fields (minute, hour, day of month, month, weekday) or one of
// @hourly, @daily, @weekly, @monthly and @yearly. The library takes the text apart;
// when a time comes is decided here, since its own search loses times that the clock
// skips.
func parseCron(text string, zone *time.Location) (rule, error) {
	if strings.Contains(text, "=") {
		return nil, errors.New("a time zone inside the expression: write it as timeZone beside it")
	}
	parsed, err := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok || len(spec.DomConstraints)+len(spec.DowConstraints) > 0 || spec.Year != nil {
		return nil, errors.New("not one of the five fields of cron: use intervalMinutes or calendar")
	}
	on := cronDays(spec)
	const everyHour = 1<<24 - 1
	if spec.Hour&everyHour == everyHour {
		return minutely{zone, on, spec.Minute & (1<<60 - 1)}, nil
	}
	w := wall{zone: zone, on: on}
	for hour := range 24 {
		for minute := range 60 {
			if spec.Hour&(1<<hour) != 0 && spec.Minute&(1<<minute) != 0 {
				w.times = append(w.times, clock(hour*60+minute))
			}
		}
	}
	if len(w.times) == 0 {
		return nil, fmt.Errorf("no time of day is meant by %s", text)
	}
	return w, nil
}

// cronDays is cron's rule for days: if both day fields are restricted, one of them is
// enough.
func cronDays(spec *cron.SpecSchedule) func(date) bool {
	const everyDay, everyWeekday = (1<<32 - 1) &^ 1, 1<<7 - 1
	dom, dow := spec.Dom&everyDay, spec.Dow&everyWeekday
	if spec.Dow&(1<<7) != 0 { // 7 is Sunday, too
		dow |= 1
	}
	either := dom != everyDay && dow != everyWeekday
	return func(d date) bool {
		if spec.Month&(1<<d.month) == 0 {
			return false
		}
		inMonth, inWeek := dom&(1<<d.day) != 0, dow&(1<<d.weekday()) != 0
		if either {
			return inMonth || inWeek
		}
		return inMonth && inWeek
	}
}
