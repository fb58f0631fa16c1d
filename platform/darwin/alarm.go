//go:build unix

package darwin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// Alarms are jobs of launchd that run once. Their descriptions lie in a folder of
// root's that launchd does not look into when the machine starts: none outlives that.
type Alarms struct {
	folder string
	run    func(ctx context.Context, argv []string) (said, error)
}

var _ port.Alarms = Alarms{}

// setTime bounds what launchd takes to know of an alarm, or to forget it.
const setTime = 15 * time.Second

// NewAlarms returns Alarms whose descriptions lie in folder, which is made when it is
// needed, in one that root alone can change.
func NewAlarms(folder string) Alarms {
	return Alarms{folder, func(ctx context.Context, argv []string) (said, error) { return ask(ctx, setTime, argv, "") }}
}

// Set implements port.Alarms.
func (a Alarms) Set(ctx context.Context, name string, in time.Duration, argv []string) error {
	if err := a.Clear(ctx, name); err != nil {
		return err
	}
	a.sweep(time.Now())
	if err := a.set(ctx, name, in, argv); err != nil {
		return errors.Join(fmt.Errorf("alarm %s: %w", name, err), a.remove(name))
	}
	return nil
}

func (a Alarms) set(ctx context.Context, name string, in time.Duration, argv []string) error {
	at, err := tool.AlarmTime(time.Now().In(timeZone()), in)
	if err != nil {
		return err
	}
	path := a.path(name)
	err = errors.Join(os.MkdirAll(a.folder, 0o700), os.WriteFile(path, tool.Alarm(name, at, argv), 0o600), os.Chtimes(path, at, at))
	if err != nil {
		return err
	}
	answer, err := a.run(ctx, tool.SetAlarm(path))
	if err == nil && answer.status != 0 {
		err = fmt.Errorf("launchctl bootstrap ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	return err
}

// Clear implements port.Alarms.
func (a Alarms) Clear(ctx context.Context, name string) error {
	if err := port.AlarmName(name); err != nil {
		return err
	}
	answer, err := a.run(ctx, tool.ClearAlarm(name))
	if err == nil && !tool.Cleared(answer.status, answer.errors) {
		err = fmt.Errorf("launchctl bootout ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
	}
	if err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return a.remove(name)
}

func (a Alarms) path(name string) string { return filepath.Join(a.folder, name+".plist") }

// remove removes a description. There need not be one.
func (a Alarms) remove(name string) error {
	if err := os.Remove(a.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return nil
}

// sweep removes the descriptions of alarms that have gone off, whose jobs launchd has
// taken away: a file's time is its alarm's. One that cannot be removed is harmless.
func (a Alarms) sweep(now time.Time) {
	list, _ := os.ReadDir(a.folder)
	for _, entry := range list {
		if info, err := entry.Info(); err == nil && info.ModTime().Before(now.Add(-time.Hour)) {
			_ = os.Remove(filepath.Join(a.folder, entry.Name()))
		}
	}
}

// timeZone is the machine's time zone as it is now, by which launchd reads the clock. A
// Go program reads it once, when it starts.
func timeZone() *time.Location {
	if data, err := os.ReadFile("/etc/localtime"); err == nil {
		if zone, err := time.LoadLocationFromTZData("Local", data); err == nil {
			return zone
		}
	}
	return time.Local
}
