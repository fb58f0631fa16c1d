//go:build linux

package linux

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"kpm/core"
)

// group is a launch group as its name says it. There are two kinds.
//
//	cgroup:/sys/fs/cgroup/system.slice/kpm.service/kpm/kpm-...
//	session:812@40117:boot[:NAME=value]
//
// A session group is the session that the child leads and whatever descends
// from it. A process that leaves the session and whose parents are gone would
// be lost; it is found again by the variable of the request or run that it
// still had in its environment when it was started. One that sheds both is
// outside: that is the limit of machines without cgroup version 2.
type group struct {
	cgroup string         // the directory, or ""
	root   core.ProcessID // the session's leader
	tag    string         // NAME=value, or ""
	// stale is true for a group of an earlier boot: its numbers mean other
	// processes now, or none.
	stale bool
}

// tagNames are the variables whose value is unique to one launch and that no
// one can guess (docs/settings.md).
var tagNames = [...]string{"KEEPER_REQUEST_ID=", "KEEPER_RUN_ID="}

func cgroupName(dir string) string { return "cgroup:" + dir }

func sessionName(root core.ProcessID, env []string) string {
	name := "session:" + root.String() + ":" + bootID()
	for _, variable := range env {
		for _, tag := range tagNames {
			if strings.HasPrefix(variable, tag) && len(variable) > len(tag) {
				return name + ":" + variable
			}
		}
	}
	return name
}

// parseGroup reads a group's name. Names come back from the journal, so
// nothing that is not exactly ours is acted on.
func parseGroup(name string) (group, bool) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "cgroup":
		ours := filepath.IsAbs(rest) && filepath.Clean(rest) == rest &&
			strings.HasPrefix(filepath.Base(rest), cgroupPrefix)
		return group{cgroup: rest}, ours
	case "session":
		parts := strings.SplitN(rest, ":", 3)
		if len(parts) < 2 {
			return group{}, false
		}
		pid, start, _ := strings.Cut(parts[0], "@")
		n, err1 := strconv.Atoi(pid)
		ticks, err2 := strconv.ParseUint(start, 10, 64)
		g := group{root: core.ProcessID{PID: n, Start: ticks}, stale: parts[1] != bootID()}
		if len(parts) == 3 {
			g.tag = parts[2]
		}
		return g, err1 == nil && err2 == nil && n > 1
	}
	return group{}, false
}

// thisBoot is what bootID found: it does not change while a process lives.
var thisBoot atomic.Pointer[string]

// bootID is the kernel's name for the time since this boot.
func bootID() string {
	if id := thisBoot.Load(); id != nil {
		return *id
	}
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	id := strings.TrimSpace(string(text))
	thisBoot.Store(&id)
	return id
}
