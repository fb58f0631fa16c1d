package windows

import (
	"fmt"
	"slices"
	"strings"

	"kpm/platform/windows/confined"
)

// confinedFacts is what the system says of a confined process.
type confinedFacts struct {
	granting     []string // SIDs of the token, its user's among them, that do more than deny
	restrictedTo []string // who must be granted an access besides
	privileges   []string
	integrity    uint32
	impersonates bool // its first thread

	jobLimits    uint32 // JOB_OBJECT_LIMIT
	jobProcesses uint32
	jobMemory    uint64 // bytes
	jobTime      int64  // 100 ns
}

// Limits of a job (winnt.h, JOB_OBJECT_LIMIT): one process, its memory, its time,
// no window about a fault, and the end with the last handle.
const jobLimits = 0x8 | 0x100 | 0x2 | 0x400 | 0x2000

// traverse is the privilege that every token has: to pass through folders that it
// may not read.
const traverse = "SeChangeNotifyPrivilege"

// fault says why the process is not confined; nil if it is.
func (f confinedFacts) fault() error {
	for _, c := range []struct {
		ok    bool
		found string
	}{
		{len(f.granting) == 0, "its token still grants what these may: " + strings.Join(f.granting, ", ")},
		{slices.Equal(f.restrictedTo, []string{"S-1-0-0"}), "its token is restricted to " + fmt.Sprint(f.restrictedTo)},
		{len(f.privileges) == 0 || slices.Equal(f.privileges, []string{traverse}), "it has the privileges " + strings.Join(f.privileges, ", ")},
		{f.integrity == 0, fmt.Sprintf("its integrity is %#x", f.integrity)},
		{!f.impersonates, "its first thread has another token"},
		{f.jobLimits == jobLimits && f.jobProcesses == 1 && f.jobMemory == confined.MaxMemory && f.jobTime == confined.MaxTime*1e7,
			fmt.Sprintf("its job has the limits %#x, %d processes, %d bytes, %d00 ns", f.jobLimits, f.jobProcesses, f.jobMemory, f.jobTime)},
	} {
		if !c.ok {
			return fmt.Errorf("it is not confined: %s", c.found)
		}
	}
	return nil
}
