//go:build windows

package windows

import (
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// wine reports whether this is Wine, which says so itself.
func wine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// launches is how many the case about many makes. Wine creates a process in a
// tenth of a second and more.
func launches() int {
	if wine() {
		return 40
	}
	return 1000
}

// adds are the variables that Wine itself gives to processes. Windows gives none.
func adds() func(name string) bool {
	if !wine() {
		return nil
	}
	return func(name string) bool {
		return strings.HasPrefix(name, "WINE") || name == "PROCESSOR_ARCHITECTURE" || name == "SystemRoot"
	}
}

// notShown are the cases that Wine 10 cannot show, with the reason. Nothing is
// left out on Windows.
func notShown() map[string]string {
	if !wine() {
		return nil
	}
	return map[string]string{
		"terminate without a listener": "a Ctrl-Break that another process generates does not arrive (Ctrl-C does, on the same way)",
		"a session that is not there":  "WTSQueryUserToken has the one user's token for every number",
	}
}

// wineTree is the tree of a machine where a group may keep what Wine keeps of a process
// whose creator was ended before it had given it a thread: it is in its job for ever,
// nothing can run in it, and nothing ends it.
type wineTree struct{ *Tree }

// Empty implements port.ProcessTree.
func (w wineTree) Empty(id core.ProcessID, group string) bool {
	if w.Tree.Empty(id, group) {
		return true
	}
	job, err := openJob(group, jobQuery)
	if !wine() || err != nil {
		return false
	}
	defer windows.CloseHandle(job)
	n, err := runnableIn(job)
	return err == nil && n == 0
}

// runnableIn is how many processes of a job have a thread, as all have on Windows
// (learn.microsoft.com, "JOBOBJECT_BASIC_PROCESS_ID_LIST", "Thread32First").
func runnableIn(job windows.Handle) (int, error) {
	var list struct {
		assigned, listed uint32
		pids             [64]uintptr
	}
	if err := windows.QueryInformationJobObject(job, windows.JobObjectBasicProcessIdList, uintptr(unsafe.Pointer(&list)), uint32(unsafe.Sizeof(list)), nil); err != nil {
		return 0, err
	}
	threads, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(threads)
	found := map[uintptr]bool{} // who has a thread
	thread := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(threads, &thread); err == nil; err = windows.Thread32Next(threads, &thread) {
		found[uintptr(thread.OwnerProcessID)] = true
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return 0, err
	}
	n := 0
	for _, pid := range list.pids[:list.listed] {
		if found[pid] {
			n++
		}
	}
	return n, nil
}
