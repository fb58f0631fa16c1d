//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// killTime is how long KillGroups waits before it reports that processes remain: one
// that waits for a driver cannot be ended.
const killTime = 5 * time.Second

// errStillThere is wrapped when processes survive for killTime.
var errStillThere = errors.New("processes remain")

// Tree answers for launch groups, which are jobs, and for processes by their
// creation time.
type Tree struct{ self core.ProcessID }

var _ port.ProcessTree = (*Tree)(nil)

// NewTree returns the process tree of this machine.
func NewTree() *Tree {
	start, _ := startStamp(windows.CurrentProcess())
	return &Tree{core.ProcessID{PID: os.Getpid(), Start: start}}
}

// Self implements port.ProcessTree.
func (t *Tree) Self() core.ProcessID { return t.self }

// Alive implements port.ProcessTree. A process that somebody still has a handle
// of is there after its end.
func (t *Tree) Alive(id core.ProcessID) bool {
	process, ok := openExactly(id, windows.PROCESS_QUERY_LIMITED_INFORMATION)
	if ok {
		windows.CloseHandle(process)
	}
	return ok
}

// Which implements port.ProcessTree: id is the root of the group, is in its job or
// descends from it. A process cannot leave a job, and joins one only if somebody with
// a handle puts it there.
func (t *Tree) Which(id core.ProcessID, groups []port.Group) int {
	process, ok := openExactly(id, processQuery)
	if !ok {
		return -1
	}
	defer windows.CloseHandle(process)
	return slices.IndexFunc(groups, func(g port.Group) bool {
		return id == g.Root || descends(process, id, g.Root) || g.Name != "" && isIn(process, g.Name)
	})
}

// isIn reports whether a process is in the job of a group.
func isIn(process windows.Handle, group string) bool {
	job, err := openJob(group, jobQuery)
	if err != nil {
		return false
	}
	defer windows.CloseHandle(job)
	in, err := inJob(process, job)
	return err == nil && in
}

// Empty implements port.ProcessTree.
func (t *Tree) Empty(_ core.ProcessID, group string) bool {
	occupied, err := isOccupied(group)
	return err == nil && !occupied
}

// Occupied implements port.ProcessTree. A job knows its processes, so it is asked
// and not each process.
func (t *Tree) Occupied(groups []port.Group) ([]bool, error) {
	occupied := make([]bool, len(groups))
	for i, group := range groups {
		has, err := isOccupied(group.Name)
		occupied[i] = has || err != nil // one that cannot be seen may have members
	}
	return occupied, nil
}

func isOccupied(group string) (bool, error) {
	job, err := openJob(group, jobQuery)
	switch {
	case errors.Is(err, windows.ERROR_FILE_NOT_FOUND), errors.Is(err, errBadGroup):
		return false, nil // one whose handles are closed has no process any more
	case err != nil:
		return false, err
	}
	defer windows.CloseHandle(job)
	n, err := activeIn(job)
	return n > 0, err
}

// KillGroups implements port.ProcessTree. It never ends this process, whatever job it
// was started in. All of them are told to end before one is waited for: a process that
// cannot be ended takes all the time there is.
func (t *Tree) KillGroups(groups ...port.Group) (int, error) {
	deadline := time.Now().Add(killTime)
	ended := 0
	var errs []error
	jobs := map[string]windows.Handle{}
	for _, group := range groups {
		job, n, err := killJob(group.Name)
		ended, errs = ended+n, append(errs, err)
		if n > 0 && err == nil {
			jobs[group.Name] = job
			defer windows.CloseHandle(job)
		}
	}
	for name, job := range jobs {
		left, err := awaitJob(job, deadline)
		if err == nil && left > 0 {
			ended, err = ended-left, fmt.Errorf("kill %q: %d %w", name, left, errStillThere)
		}
		errs = append(errs, err)
	}
	return ended, errors.Join(errs...)
}

// killJob tells everything in a job to end (learn.microsoft.com, "TerminateJobObject"),
// and returns how many processes that were. If there are any, the job is the caller's to
// close.
func killJob(group string) (job windows.Handle, n int, err error) {
	job, err = openJob(group, jobQuery|jobTerminate)
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("kill: %w", err)
	}
	if in, err := inJob(windows.CurrentProcess(), job); err != nil || in {
		windows.CloseHandle(job)
		return 0, 0, errors.Join(fmt.Errorf("kill %q: this service was started in it", group), err)
	}
	if n, err = activeIn(job); err == nil && n > 0 {
		err = windows.TerminateJobObject(job, exitKilled)
	}
	if err != nil {
		err = fmt.Errorf("kill %q: %w", group, err)
	}
	if err != nil || n == 0 {
		windows.CloseHandle(job)
		return 0, 0, err
	}
	return job, n, nil
}

// awaitJob waits until nothing is left in a job, and returns what is at the deadline.
func awaitJob(job windows.Handle, deadline time.Time) (left int, err error) {
	for ; ; time.Sleep(time.Millisecond) {
		left, err = activeIn(job)
		if err != nil || left == 0 || time.Now().After(deadline) {
			return left, err
		}
	}
}

// processQuery is the right to ask for a process's job. Windows is content with
// the limited one, Wine is not; a process that we may not ask in full is a
// protected one, which nothing of ours is.
const processQuery = windows.PROCESS_QUERY_INFORMATION

// openExactly opens a process that is alive and no other with its pid. As long
// as the handle is open, no other one gets the pid (learn.microsoft.com,
// "OpenProcess", "GetProcessTimes").
func openExactly(id core.ProcessID, access uint32) (windows.Handle, bool) {
	process, err := windows.OpenProcess(access|windows.SYNCHRONIZE, false, uint32(id.PID))
	if err != nil {
		return 0, false
	}
	start, err := startStamp(process)
	state, waitErr := windows.WaitForSingleObject(process, 0)
	if err == nil && start == id.Start && waitErr == nil && state == uint32(windows.WAIT_TIMEOUT) {
		return process, true
	}
	windows.CloseHandle(process)
	return 0, false
}

// startStamp is when a process was created, in 100 ns.
func startStamp(process windows.Handle) (uint64, error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return 0, fmt.Errorf("creation time of a process: %w", err)
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), nil
}

// descends reports whether root is an ancestor. A parent's pid may be somebody
// else's by now, who then is younger than the child.
func descends(process windows.Handle, id, root core.ProcessID) bool {
	for range 256 { // no tree is as deep
		// learn.microsoft.com, "NtQueryInformationProcess", ProcessBasicInformation
		var basic windows.PROCESS_BASIC_INFORMATION
		if windows.NtQueryInformationProcess(process, windows.ProcessBasicInformation, unsafe.Pointer(&basic), uint32(unsafe.Sizeof(basic)), nil) != nil {
			return false
		}
		parent := int(basic.InheritedFromUniqueProcessId)
		if parent == root.PID {
			return root.Start <= id.Start
		}
		next, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(parent))
		if err != nil {
			return false
		}
		defer windows.CloseHandle(next)
		start, err := startStamp(next)
		if err != nil || start > id.Start {
			return false
		}
		process, id = next, core.ProcessID{PID: parent, Start: start}
	}
	return false
}
