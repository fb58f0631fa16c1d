//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kpm/core/port"
)

// Alarms are tasks of the Task Scheduler, which run as LocalSystem. They go by the
// wall clock, which a machine that sleeps goes on with.
type Alarms struct {
	// Folder is where a task's definition lies while the Scheduler reads it.
	// Administrators alone can write there.
	Folder string
}

var _ port.Alarms = Alarms{}

// Set implements port.Alarms. The program is asked of the system and not looked for
// (learn.microsoft.com, "GetSystemDirectoryW").
func (a Alarms) Set(ctx context.Context, name string, in time.Duration, argv []string) (err error) {
	if err := port.AlarmName(name); err != nil {
		return err
	}
	definition, err := alarmTask(in, time.Now(), argv)
	if err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	path := filepath.Join(a.Folder, "alarm-"+name+".xml")
	if err := (Files{}).WriteAtomic(path, definition, 0o600); err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	if err := runTool(ctx, setTask(schtasks(), name, path)); err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return nil
}

// Clear implements port.Alarms. Whether there is a task says its file, in which the
// Scheduler keeps it: schtasks says so in the language of the machine alone.
func (Alarms) Clear(ctx context.Context, name string) error {
	if err := port.AlarmName(name); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(systemDirectory(), "Tasks", taskPrefix+name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := runTool(ctx, clearTask(schtasks(), name)); err != nil {
		return fmt.Errorf("alarm %s: %w", name, err)
	}
	return nil
}

func schtasks() string { return filepath.Join(systemDirectory(), "schtasks.exe") }
