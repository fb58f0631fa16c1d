//go:build linux

package linux

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// What systemd-run is told. That systemd does it is shown where systemd runs
// (vmtests/installed, TestTimeIsOverWithoutTheService).
func TestAlarmCommand(t *testing.T) {
	now := time.Date(2026, 11, 28, 23, 59, 58, 300_000_000, time.FixedZone("", 3600))
	argv := []string{"/opt/a b/KeeperPrivilegeManager", "rights", "--", "$HOME %h"}
	got, err := alarmCommand("G7", 1500*time.Millisecond, now, argv)
	want := append([]string{
		"/usr/bin/systemd-run", "--quiet", "--collect", "--unit=kpm-G7", "--description=KeeperPrivilegeManager ends rights that were given for a time",
		"--timer-property=AccuracySec=1s", "--timer-property=RemainAfterElapse=no",
		"--on-active=2s", "--on-calendar=2026-11-28 23:00:00 UTC", "--",
	}, argv...)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, expected %q", got, err, want)
	}
	// Never early, by either clock.
	for in, clock := range map[time.Duration]string{700 * time.Millisecond: "22:59:59", 701 * time.Millisecond: "23:00:00", 30 * time.Minute: "23:29:59"} {
		got, err := alarmCommand("G7", in, now, argv)
		if err != nil || !slices.ContainsFunc(got, func(word string) bool { return strings.HasSuffix(word, " "+clock+" UTC") }) {
			t.Errorf("in %s: %q, %v, expected %s", in, got, err, clock)
		}
	}
}

// Attack: a grant's name becomes another unit's, or an option.
func TestAlarmNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"G7": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a.service": false, "../ssh": false, "-a": false, "a b": false, "a\n": false, "a@": false, "é": false, "a*": false,
	} {
		_, err := alarmCommand(name, time.Minute, time.Now(), []string{"/bin/true"})
		if (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
		if err := (Alarms{}).Clear(t.Context(), name); !ok && err == nil {
			t.Errorf("%q was cleared", name)
		}
	}
}

// systemd's own reader takes both times for what they are.
func TestSystemdReadsTheTimes(t *testing.T) {
	got, err := alarmCommand("G7", 25*time.Hour, time.Now(), []string{"/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	value := func(option string) string {
		i := slices.IndexFunc(got, func(word string) bool { return strings.HasPrefix(word, option+"=") })
		return strings.TrimPrefix(got[i], option+"=")
	}
	for _, argv := range [][]string{{"calendar", "--iterations=1", value("--on-calendar")}, {"timespan", value("--on-active")}} {
		out, err := exec.Command("systemd-analyze", argv...).CombinedOutput()
		if err != nil || argv[0] == "calendar" && !strings.Contains(string(out), "Next elapse: ") || argv[0] == "timespan" && !strings.Contains(string(out), "1d 1h") {
			t.Errorf("systemd-analyze %q: %v %s", argv, err, out)
		}
	}
}
