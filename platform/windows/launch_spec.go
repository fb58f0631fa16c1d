//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/held"
)

// told is what a helper is told, and what is held until it has done it.
type told struct {
	spec     held.Spec
	program  sealed
	dir      sealed
	streams  [3]*os.File
	terminal *terminal
}

// translate turns a spec into what a helper is told. l.null stands in for
// streams that the program does not have.
func (l *Launcher) translate(spec port.LaunchSpec, t *token) (*told, error) {
	if spec.Executable == nil || spec.Dir == nil {
		return nil, errors.New("executable or working directory is missing")
	}
	if spec.Script != "" {
		return nil, fmt.Errorf("%s: %w", spec.Script, errScript)
	}
	made := &told{}
	err := made.fill(spec, t)
	if err == nil {
		made.streams, err = l.streams(spec)
	}
	if err == nil && spec.Terminal != nil {
		made.spec.Console = held.ConsolePseudo
		made.terminal, err = ownTerminal(spec.Terminal)
	}
	if err != nil {
		made.release()
		return nil, err
	}
	return made, nil
}

// fill finds what is said by text: names, arguments, environment.
func (t *told) fill(spec port.LaunchSpec, as *token) (err error) {
	if t.spec.CommandLine, err = commandLine(spec.Argv); err != nil {
		return err
	}
	env := spec.Env
	if as != nil {
		env = withVariables(as.environ, spec.Env)
		t.spec.Desktop = as.desktop
	}
	if t.spec.Env, err = environment(env); err != nil {
		return err
	}
	if t.program, err = holdProgram(spec.Executable); err != nil {
		return fmt.Errorf("executable: %w", err)
	}
	if t.dir, err = holdDir(spec.Dir); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	t.spec.Application, t.spec.Dir = t.program.path, t.dir.path
	if spec.As.RunAs == core.AsUserDesktop || spec.As.RunAs == core.AsUserElevated {
		t.spec.Console = held.ConsoleWindow
	}
	// A plain user may not make administrators the owner of anything, and there is
	// nothing to gain: the program has the user's rights.
	t.spec.Protected = spec.As.RunAs == core.AsService || spec.As.RunAs == core.AsUserElevated
	return nil
}

// streams are the spec's. One that is missing is the console's where the program
// gets one to be seen, else the null device.
func (l *Launcher) streams(spec port.LaunchSpec) ([3]*os.File, error) {
	all := spec.Streams.Each()
	window := spec.As.RunAs == core.AsUserDesktop || spec.As.RunAs == core.AsUserElevated
	if spec.Terminal != nil || window && all == [3]*os.File{} {
		return all, nil
	}
	for i, stream := range all {
		if stream == nil {
			all[i] = l.null
		}
	}
	return all, nil
}

// give puts into the helper's handle table what the spec names, and then names
// it (learn.microsoft.com, "DuplicateHandle"). A copy that stays there because
// something fails ends with the helper.
func (t *told) give(helper windows.Handle) error {
	for i, stream := range t.streams {
		if stream == nil {
			continue
		}
		handle, err := giveFile(helper, stream, true)
		if err != nil {
			return fmt.Errorf("standard stream %d: %w", i, err)
		}
		t.spec.Streams[i] = handle
	}
	if t.terminal == nil {
		return nil
	}
	return t.terminal.give(helper, &t.spec)
}

// giveFile duplicates a file into another process. Only what is inheritable there
// can go on to the program.
func giveFile(to windows.Handle, f *os.File, inheritable bool) (uint64, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var copied windows.Handle
	controlErr := raw.Control(func(fd uintptr) {
		err = windows.DuplicateHandle(windows.CurrentProcess(), windows.Handle(fd), to, &copied, 0, inheritable, windows.DUPLICATE_SAME_ACCESS)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return 0, fmt.Errorf("duplicate %s: %w", f.Name(), err)
	}
	return uint64(copied), nil
}

func (t *told) release() {
	t.program.release()
	t.dir.release()
}

// connection makes the two pipes between service and helper, the helper's ends
// inheritable (learn.microsoft.com, "CreatePipe").
func connection() (theirs [2]windows.Handle, orders, reports *os.File, err error) {
	var in, inOurs, outOurs, out windows.Handle
	if err = windows.CreatePipe(&in, &inOurs, nil, 0); err != nil {
		return theirs, nil, nil, fmt.Errorf("pipe to a helper: %w", err)
	}
	orders = os.NewFile(uintptr(inOurs), "orders")
	if err = windows.CreatePipe(&outOurs, &out, nil, 0); err != nil {
		windows.CloseHandle(in)
		orders.Close()
		return theirs, nil, nil, fmt.Errorf("pipe from a helper: %w", err)
	}
	reports = os.NewFile(uintptr(outOurs), "reports")
	theirs = [2]windows.Handle{in, out}
	for _, handle := range theirs {
		// learn.microsoft.com, "SetHandleInformation": other processes that are
		// created at this moment have lists of their own, and do not get it.
		if err == nil {
			err = windows.SetHandleInformation(handle, windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT)
		}
	}
	if err != nil {
		for _, handle := range theirs {
			windows.CloseHandle(handle)
		}
		orders.Close()
		reports.Close()
		return [2]windows.Handle{}, nil, nil, fmt.Errorf("pipes to a helper: %w", err)
	}
	return theirs, orders, reports, nil
}

// helperEnvironment is all that a helper has: it loads only what lies in the
// system directory, and needs to know where that is.
func helperEnvironment() []string {
	return []string{"GOGC=off", "GOMAXPROCS=1", "SystemRoot=" + filepath.Dir(systemDirectory())}
}

// systemDirectory is where helpers run (learn.microsoft.com,
// "GetSystemDirectoryW").
func systemDirectory() string {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return `C:\Windows\System32`
	}
	return dir
}
