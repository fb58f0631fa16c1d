//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/platform/windows/held"
)

// child is one helper and the program that it creates. It is both port.Held and
// port.Process, and both are the helper: it leads the group, and ends with the
// program's exit code.
type child struct {
	launcher *Launcher
	id       core.ProcessID
	group    string
	job      windows.Handle
	process  windows.Handle
	orders   *os.File // the helper's standard input
	reports  *os.File // its standard output
	told     *told    // what it is to create; nil before and after
	ends     bool     // what it leaves running ends with it
	after    after

	mu      sync.Mutex
	let     bool // the helper was told to let the program run
	running bool // it has said that it did
	gone    bool // process and job may be closed

	done   chan struct{} // closed when it has ended, or nobody watches any more
	status core.ExitStatus
	err    error
}

var (
	_ port.Held    = (*child)(nil)
	_ port.Process = (*child)(nil)
)

// ID implements port.Held and port.Process.
func (c *child) ID() core.ProcessID { return c.id }

// Group implements port.Held.
func (c *child) Group() string { return c.group }

// tell gives the helper its handles and says what to create.
func (c *child) tell(t *told) error {
	c.told = t
	if err := t.give(c.process); err != nil {
		return err
	}
	if _, err := c.orders.Write(t.spec.Encode()); err != nil {
		return fmt.Errorf("tell the helper: %w", err)
	}
	return nil
}

// Release implements port.Held.
func (c *child) Release(ctx context.Context) (port.Process, error) {
	if err := ctx.Err(); err != nil { // what nobody waits for any more does not run
		c.Discard()
		return nil, fmt.Errorf("launch: %w", err)
	}
	// A helper's pipes have no deadlines: its end is the end of every wait.
	stop := context.AfterFunc(ctx, func() { c.kill() })
	err := c.release()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return c, nil
	}
	c.Discard()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("launch: %w", err)
}

func (c *child) release() error {
	created, err := c.report(held.StepCreated)
	if err != nil {
		return err
	}
	if err := c.compare(created.PID); err != nil {
		return err
	}
	c.mu.Lock()
	c.let = true
	c.mu.Unlock()
	if _, err := c.orders.Write([]byte{held.Go}); err != nil {
		return fmt.Errorf("the helper ended: %w", err)
	}
	if _, err := c.report(held.StepRunning); err != nil {
		return err
	}
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	c.reports.Close()
	c.told.release()
	c.told = nil
	return nil
}

// report reads what the helper says; anything but want is an error.
func (c *child) report(want held.Step) (held.Report, error) {
	var b [held.ReportSize]byte
	if _, err := io.ReadFull(c.reports, b[:]); err != nil {
		return held.Report{}, fmt.Errorf("the helper ended: %w", err)
	}
	report, ok := held.DecodeReport(b[:])
	switch {
	case !ok:
		return report, errors.New("the helper answered with something else than a report")
	case report.Step == want:
		return report, nil
	}
	return report, explain(fmt.Errorf("%s: %w", report.Step, windows.Errno(report.Errno)))
}

// ErrChanged is wrapped by Release when what was created is not the program that
// was approved.
var ErrChanged = errors.New("what was created is not the program that was approved")

// compare looks at the suspended program: it must be in the group, and its image
// must be the sealed file, which nobody can change or rename as long as it is
// held.
//
// Attack (CVE-2021-3969 and its kind): between approval and start, the path is
// made to name another file, by a junction or a mount.
func (c *child) compare(pid uint32) error {
	// learn.microsoft.com, "OpenProcess", "Process Security and Access Rights"
	program, err := windows.OpenProcess(processQuery, false, pid)
	if err != nil {
		return fmt.Errorf("open the program %d: %w", pid, err)
	}
	defer windows.CloseHandle(program)
	if in, err := inJob(program, c.job); err != nil || !in {
		return errors.Join(fmt.Errorf("process %d is not in the group: %w", pid, ErrChanged), err)
	}
	image, err := imageOf(program)
	if err != nil {
		return err
	}
	if image != c.told.program.id {
		return fmt.Errorf("%s: %w", c.told.program.path, ErrChanged)
	}
	return nil
}

// discardTime is how long a child that was killed is waited for.
const discardTime = time.Second

// Discard implements port.Held.
func (c *child) Discard() {
	c.kill()
	select {
	case <-c.done:
	case <-time.After(discardTime):
	}
	c.orders.Close()
	c.reports.Close()
	if c.told != nil {
		c.told.release()
		c.told = nil
	}
}

// End implements port.Process.
func (c *child) End(ctx context.Context) (core.ExitStatus, error) { return c.Wait(ctx) }

// Wait implements port.Process.
func (c *child) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-c.done:
		return c.status, c.err
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

// Signal implements port.Process. Windows knows two, as events of a console; a
// program that has none, or has said that it does not listen, hears nothing.
func (c *child) Signal(s signal.Signal) error {
	if c.ended() {
		return os.ErrProcessDone
	}
	var order byte
	switch s {
	case signal.Kill:
		return c.kill()
	case signal.Interrupt:
		order = held.Interrupt
	case signal.Quit, signal.Terminate, signal.Hangup:
		order = held.Break
	default:
		return fmt.Errorf("signal %s: %w", s, errors.ErrUnsupported)
	}
	if _, err := c.orders.Write([]byte{order}); err != nil {
		return os.ErrProcessDone
	}
	return nil
}

// Kill implements port.Process.
func (c *child) Kill() error {
	_, err := c.launcher.tree.KillGroups(port.Group{Root: c.id, Name: c.group})
	return err
}

// kill ends everything in the job (learn.microsoft.com, "TerminateJobObject").
func (c *child) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return os.ErrProcessDone
	}
	return windows.TerminateJobObject(c.job, exitKilled)
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// watch waits for the end of the helper or of the launcher. The wait occupies a
// thread, as os/exec's does (learn.microsoft.com, "WaitForMultipleObjects").
func (c *child) watch() {
	defer c.launcher.watchers.Done()
	which, err := windows.WaitForMultipleObjects([]windows.Handle{c.process, c.launcher.stopped}, false, windows.INFINITE)
	var code uint32
	switch {
	case err != nil:
		c.err = fmt.Errorf("wait for %s: %w", c.id, err)
	case which != windows.WAIT_OBJECT_0:
		c.err = fmt.Errorf("wait for %s: %w", c.id, errClosed)
	default:
		if err := windows.GetExitCodeProcess(c.process, &code); err != nil {
			c.err = fmt.Errorf("exit code of %s: %w", c.id, err)
		}
		c.status = exitStatus(code)
		c.clear()
	}
	c.mu.Lock()
	c.gone = true
	windows.CloseHandle(c.process)
	running := c.running
	c.mu.Unlock()
	// What it left running in the background would be somebody's whom nobody knows any
	// more. It has ended when others hear that the command has, who remove the account.
	if c.ends && c.err == nil {
		c.launcher.tree.KillGroups(port.Group{Root: c.id, Name: c.group}) // what cannot be ended is left to the account's removal
		c.after.do()
		c.after = after{}
	}
	close(c.done)
	if running {
		c.orders.Close()
	}
	c.launcher.ended(c)
}

// clear ends the program of a helper that has ended without having let it run. Who ended
// the job may have done so just when the helper was creating it: a process that is being
// created then is none yet that could be ended.
func (c *child) clear() {
	c.mu.Lock()
	let := c.let
	c.mu.Unlock()
	for until := time.Now().Add(discardTime); !let && time.Now().Before(until); time.Sleep(time.Millisecond) {
		if n, err := activeIn(c.job); err != nil || n == 0 {
			return
		}
		windows.TerminateJobObject(c.job, exitKilled)
	}
}

// abandon ends a helper, or what there is of one, that nobody has been given.
func (c *child) abandon() {
	if c.job != 0 {
		windows.TerminateJobObject(c.job, exitKilled)
		windows.CloseHandle(c.job)
	}
	if c.process != 0 {
		windows.CloseHandle(c.process)
	}
	for _, f := range []*os.File{c.orders, c.reports} {
		if f != nil {
			f.Close()
		}
	}
}

// exitKilled is the exit code of everything that we end, which no program has by
// accident: an error (3) of a customer's (the bit that Microsoft leaves) ([MS-ERREF], 2.3).
const exitKilled = 0xe04b0009

// exitStatus reads an exit code. Windows itself ends programs that do not handle
// a control event with STATUS_CONTROL_C_EXIT.
func exitStatus(code uint32) core.ExitStatus {
	switch code {
	case exitKilled:
		return core.ExitStatus{Signal: int(signal.Kill)}
	case uint32(windows.STATUS_CONTROL_C_EXIT):
		return core.ExitStatus{Signal: int(signal.Interrupt)}
	}
	return core.ExitStatus{Code: int(code)}
}
