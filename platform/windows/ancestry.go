//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// Ancestry asks the kernel for the parents of processes. Neither the leader of a
// session nor a controlling terminal is known here: of who is no coding agent it is
// not known who they are, and what depends on that is not granted.
//
// A program can have a child of its own pass for another process's of the same person
// (PROC_THREAD_ATTRIBUTE_PARENT_PROCESS): who hides is not found.
type Ancestry struct {
	mu    sync.Mutex
	hangs map[core.UserID]int // readings under way, by the user of the process
}

var _ port.Ancestry = (*Ancestry)(nil)

// NewAncestry returns an Ancestry.
func NewAncestry() *Ancestry { return &Ancestry{hangs: map[core.UserID]int{}} }

// Bounds of reading a process's command line: the bytes of it, the time, and how many
// readings of one user's processes may hang.
const (
	maxLine      = 68 << 10 // the longest that Windows has, and what describes it
	lineTime     = 100 * time.Millisecond
	maxUserHangs = 2
)

// Ancestors implements port.Ancestry.
func (a *Ancestry) Ancestors(id core.ProcessID) ([]core.Ancestor, error) { return climb(id, a.look) }

// Starter implements port.Ancestry.
func (a *Ancestry) Starter(id core.ProcessID) (core.UserID, error) {
	process, ok := openExactly(id, windows.PROCESS_QUERY_LIMITED_INFORMATION)
	if !ok {
		return "", fmt.Errorf("user of process %s: %w", id, fs.ErrNotExist)
	}
	defer windows.CloseHandle(process)
	user, err := processUser(process)
	if err != nil {
		return "", fmt.Errorf("user of process %s: %w", id, err)
	}
	return user, nil
}

func processUser(process windows.Handle) (core.UserID, error) {
	var t windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &t); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	defer t.Close()
	return tokenUser(t)
}

// look asks about the process of a pid. As long as it is open, no other one gets that.
func (a *Ancestry) look(pid int) (relative, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, uint32(pid))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) { // nobody has the pid
		return relative{}, fmt.Errorf("open: %w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return relative{}, fmt.Errorf("open: %w", err)
	}
	defer windows.CloseHandle(process)
	if state, err := windows.WaitForSingleObject(process, 0); err == nil && state == windows.WAIT_OBJECT_0 {
		return relative{}, fmt.Errorf("it has ended: %w", fs.ErrNotExist)
	}
	one := relative{id: core.ProcessID{PID: pid}}
	if one.id.Start, err = startStamp(process); err != nil {
		return relative{}, err
	}
	// learn.microsoft.com, "NtQueryInformationProcess", ProcessBasicInformation
	var basic windows.PROCESS_BASIC_INFORMATION
	if err := windows.NtQueryInformationProcess(process, windows.ProcessBasicInformation, unsafe.Pointer(&basic), uint32(unsafe.Sizeof(basic)), nil); err != nil {
		return relative{}, fmt.Errorf("parent: %w", err)
	}
	one.parent = int(basic.InheritedFromUniqueProcessId)
	// What cannot be seen is empty: a protected process is no coding agent.
	one.program, _ = imagePath(process)
	if interprets(one.program) {
		one.names, err = a.words(process)
	}
	return one, err
}

// words are the first of an interpreter's command line.
//
// Attack: a process has its command line in memory that a file of its own, on another
// machine, stands for. Whoever reads it waits for that machine. So another goroutine
// reads, its time is bounded, and so is how many may hang for one user.
func (a *Ancestry) words(process windows.Handle) ([]string, error) {
	user, err := processUser(process)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	full := a.hangs[user] >= maxUserHangs
	if !full {
		a.hangs[user]++
	}
	a.mu.Unlock()
	if full {
		return nil, fmt.Errorf("too many processes of user %s keep their command lines back", user)
	}
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	own := windows.CurrentProcess()
	var reader windows.Handle // which outlives the look
	err = windows.DuplicateHandle(own, process, own, &reader, 0, false, windows.DUPLICATE_SAME_ACCESS)
	go func() {
		line := ""
		if err == nil {
			line, err = commandLineOf(reader)
			windows.CloseHandle(reader)
		}
		a.mu.Lock()
		if a.hangs[user]--; a.hangs[user] == 0 {
			delete(a.hangs, user)
		}
		a.mu.Unlock()
		read <- result{line, err}
	}()
	timer := time.NewTimer(lineTime)
	defer timer.Stop()
	select {
	case r := <-read:
		if r.err != nil {
			return nil, r.err
		}
		words, err := windows.DecomposeCommandLine(r.line)
		if err != nil {
			return nil, fmt.Errorf("command line: %w", err)
		}
		return words[:min(len(words), maxWords)], nil
	case <-timer.C:
		return nil, errors.New("it keeps its command line back")
	}
}

// commandLineOf is what a process says its command line is (ProcessCommandLineInformation:
// a UNICODE_STRING with its text behind it).
func commandLineOf(process windows.Handle) (string, error) {
	buffer := make([]uint64, maxLine/8) // aligned as the structure is
	var size uint32
	if err := windows.NtQueryInformationProcess(process, windows.ProcessCommandLineInformation, unsafe.Pointer(&buffer[0]), maxLine, &size); err != nil {
		return "", fmt.Errorf("command line: %w", err)
	}
	said := (*windows.NTUnicodeString)(unsafe.Pointer(&buffer[0]))
	from := uintptr(unsafe.Pointer(said.Buffer)) - uintptr(unsafe.Pointer(&buffer[0]))
	if said.Buffer == nil || from > maxLine || from+uintptr(said.Length) > maxLine {
		return "", nil
	}
	return said.String(), nil
}
