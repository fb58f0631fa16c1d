//go:build windows

package held

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// Name is argv[0] of a helper.
const Name = "keeperlaunch"

// exitUnused is the exit code of a helper that ran nothing.
const exitUnused = 125

// flushTime is how long a helper waits for what a program has left in its pseudo
// console. Whoever shows it may have stopped reading.
const flushTime = 5 * time.Second

// Main is the helper. The service talks to it by its standard input and hears
// from it by its standard output. It does not return.
func Main() {
	if len(os.Args) == 3 && os.Args[1] == DesktopArgument {
		windows.ExitProcess(admit(os.Args[2]))
	}
	spec, err := ReadSpec(os.Stdin)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			report(StepSpec, err)
		}
		windows.ExitProcess(exitUnused)
	}
	h := &helper{}
	if step, err := h.create(spec); err != nil {
		report(step, err)
		windows.ExitProcess(exitUnused)
	}
	os.Stdout.Write(Report{Step: StepCreated, PID: h.program.ProcessId}.Encode())
	// End of file, which is what a dead service looks like, ends the program
	// before its first instruction.
	if told() != Go {
		windows.TerminateProcess(h.program.Process, exitUnused)
		windows.ExitProcess(exitUnused)
	}
	if _, err := windows.ResumeThread(h.program.Thread); err != nil {
		windows.TerminateProcess(h.program.Process, exitUnused)
		report(StepResume, err)
		windows.ExitProcess(exitUnused)
	}
	os.Stdout.Write(Report{Step: StepRunning}.Encode())
	os.Stdout.Close()
	go h.obey()
	windows.ExitProcess(h.wait())
}

// told returns the next thing that the service says, 0 at the end.
func told() byte {
	var b [1]byte
	if _, err := io.ReadFull(os.Stdin, b[:]); err != nil {
		return 0
	}
	return b[0]
}

func report(step Step, err error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = syscall.Errno(windows.ERROR_GEN_FAILURE)
	}
	os.Stdout.Write(Report{Step: step, Errno: uint32(errno)}.Encode())
}

// helper is the program, and what it needs of this process.
type helper struct {
	program windows.ProcessInformation

	mu      sync.Mutex
	console windows.Handle // the pseudo console, or 0
}

// create creates what spec says, suspended.
func (h *helper) create(spec Spec) (Step, error) {
	start := Start{
		Application: spec.Application, CommandLine: spec.CommandLine, Dir: spec.Dir, Desktop: spec.Desktop, Env: spec.Env,
	}
	for i, stream := range spec.Streams {
		start.Streams[i] = windows.Handle(stream)
	}
	if spec.Protected {
		start.Security = Administrators
	}
	switch spec.Console {
	case ConsoleHidden:
		start.Flags = windows.CREATE_NO_WINDOW
	case ConsoleWindow:
		start.Flags = windows.CREATE_NEW_CONSOLE
		start.KeepStreams = spec.Streams == [3]uint64{}
	case ConsolePseudo:
		if err := h.openConsole(spec); err != nil {
			return StepConsole, err
		}
		start.Console = h.console
	default:
		return StepSpec, errSpec
	}
	var err error
	h.program, err = start.Create()
	// The program has its own. With ours open, nobody would see it close them.
	for _, stream := range start.Streams {
		if stream != 0 {
			windows.CloseHandle(stream)
		}
	}
	return StepCreate, err
}

// wait returns the program's exit code, when there is one.
func (h *helper) wait() uint32 {
	code := uint32(exitUnused)
	if _, err := windows.WaitForSingleObject(h.program.Process, windows.INFINITE); err == nil {
		windows.GetExitCodeProcess(h.program.Process, &code)
	}
	h.mu.Lock()
	console := h.console
	h.console = 0 // nobody resizes what is being closed
	h.mu.Unlock()
	if console != 0 {
		// It returns when everything has been read. The process may end before.
		flushed := make(chan struct{})
		go func() {
			windows.ClosePseudoConsole(console)
			close(flushed)
		}()
		select {
		case <-flushed:
		case <-time.After(flushTime):
		}
	}
	return code
}

// obey does what the service says until it says no more.
func (h *helper) obey() {
	// Control events reach this process as well while it is attached to the
	// program's console. Go's handler ends it unless somebody listens.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	for {
		switch told() {
		case Interrupt:
			h.control(windows.CTRL_C_EVENT)
		case Break:
			h.control(windows.CTRL_BREAK_EVENT)
		default:
			return
		}
	}
}
