//go:build unix

package darwin

import (
	"fmt"
	"slices"
	"strings"

	"kpm/platform/darwin/confined"
	"kpm/platform/darwin/kernel"
	"kpm/platform/unix/handover"
)

// forbidden are the operations of a sandbox (sandbox-exec(1), and the profiles in
// /System/Library/Sandbox/Profiles) that a confined process must be denied: files,
// programs and processes, the network, and services of the system.
var forbidden = []string{
	"file-read-data", "file-read-metadata", "file-write-data", "file-write-create",
	"process-exec", "process-fork", "network-outbound", "network-bind", "mach-lookup",
}

// confinedFacts is what the kernel says of a confined process.
type confinedFacts struct {
	process     kernel.Process
	groups      []uint32 // the effective one first
	path        string   // of the file that it runs
	descriptors []kernel.Descriptor
	sandboxed   bool
	allowed     []string // of forbidden
	memory      kernel.MemoryLimit
}

// fault says why the process is not confined; nil if it is. It is to be a child of
// this service that runs the file at path as user, whom no other process is.
//
// What a process says of itself is not enough: nothing is handed to one that only
// believes to be confined.
func (f confinedFacts) fault(service int, path string, user uint32) error {
	p := f.process
	for _, c := range []struct {
		ok    bool
		found string
	}{
		{p.Parent == service && !p.Zombie, fmt.Sprintf("process %d, zombie: %t, is a child of %d", p.PID, p.Zombie, p.Parent)},
		{p.Group == p.PID, fmt.Sprintf("it is in process group %d", p.Group)},
		{p.Is(user), fmt.Sprintf("it is user %d, %d, %d, expected %d", p.RealUser, p.User, p.SavedUser, user)},
		{p.RealGroup == user && p.SavedGroup == user && slices.Equal(f.groups, []uint32{user}),
			fmt.Sprintf("it has the groups %d, %d, %d, expected %d alone", p.RealGroup, p.SavedGroup, f.groups, user)},
		{f.path == path, fmt.Sprintf("it runs %q, expected %q", f.path, path)},
		{f.sandboxed, "it is in no sandbox"},
		{len(f.allowed) == 0, "its sandbox allows " + strings.Join(f.allowed, ", ")},
		{f.memory == kernel.FatalMemoryLimit(confined.MaxMemory), fmt.Sprintf("its memory is limited to %+v", f.memory)},
	} {
		if !c.ok {
			return fmt.Errorf("it is not confined: %s", c.found)
		}
	}
	return strayDescriptor(f.descriptors)
}

// strayDescriptor says which of a process's descriptors it should not have: it is
// born with the null device and the connection, and the Go runtime has a queue.
func strayDescriptor(all []kernel.Descriptor) error {
	for _, d := range all {
		switch {
		case d.Number >= 0 && d.Number < handover.Descriptor && d.Kind == kernel.KindFile,
			d.Number == handover.Descriptor && d.Kind == kernel.KindSocket,
			d.Number > handover.Descriptor && d.Kind == kernel.KindQueue:
		default:
			return fmt.Errorf("it is not confined: its descriptor %d is of kind %d", d.Number, d.Kind)
		}
	}
	return nil
}
