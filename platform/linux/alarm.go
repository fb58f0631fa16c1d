//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"kpm/core/port"
)

// Alarms are transient timers of systemd (systemd-run(1)). They go off by the
// monotonic clock and by the one on the wall, whichever is first: the first stands
// still while the machine sleeps, the second can be set.
type Alarms struct{}

var _ port.Alarms = Alarms{}

const (
	systemdRunPath = "/usr/bin/systemd-run"
	systemctlPath  = "/usr/bin/systemctl"
	alarmPrefix    = "kpm-"
)

// Set implements port.Alarms. Errors wrap ErrNoSystemd.
func (a Alarms) Set(ctx context.Context, name string, in time.Duration, argv []string) error {
	if _, err := os.Stat(systemdRuns); err != nil {
		return ErrNoSystemd
	}
	if err := a.Clear(ctx, name); err != nil {
		return err
	}
	command, err := alarmCommand(name, in, time.Now(), argv)
	if err == nil {
		err = runTool(ctx, command)
	}
	if err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return nil
}

func alarmCommand(name string, in time.Duration, now time.Time, argv []string) ([]string, error) {
	if err := port.AlarmName(name); err != nil {
		return nil, err
	}
	at := now.Add(in).UTC().Add(time.Second - 1).Truncate(time.Second)
	command := []string{
		systemdRunPath, "--quiet", "--collect", "--unit=" + alarmPrefix + name, "--description=KeeperPrivilegeManager ends rights that were given for a time",
		"--timer-property=AccuracySec=1s", "--timer-property=RemainAfterElapse=no",
		"--on-active=" + strconv.FormatInt(int64((in+time.Second-1)/time.Second), 10) + "s",
		"--on-calendar=" + at.Format("2006-01-02 15:04:05") + " UTC", "--",
	}
	return append(command, argv...), nil
}

// Clear implements port.Alarms.
func (Alarms) Clear(ctx context.Context, name string) error {
	if err := port.AlarmName(name); err != nil {
		return err
	}
	if _, err := os.Stat(systemdRuns); err != nil {
		return nil
	}
	var missing *toolError // with 5, of a unit that is not loaded
	err := runTool(ctx, []string{systemctlPath, "stop", "--quiet", "--no-ask-password", alarmPrefix + name + ".timer"})
	if errors.As(err, &missing) && missing.status == 5 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return nil
}
