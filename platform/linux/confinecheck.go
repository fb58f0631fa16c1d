//go:build linux

package linux

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// confinedStatus is what the kernel must say of every thread of a confined
// process in /proc/PID/task/TID/status (proc(5)). Words are compared one by one.
func confinedStatus(user uint32) map[string]string {
	id := strconv.FormatUint(uint64(user), 10)
	four := strings.Join([]string{id, id, id, id}, " ")
	const none = "0000000000000000"
	return map[string]string{
		"Uid": four, "Gid": four, "Groups": "", // real, effective, saved, of the file system
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1",
		"Seccomp":    "2", // SECCOMP_MODE_FILTER
	}
}

// verifyConfined reports nil if the kernel calls every thread of a child of a
// user, for which nobody has waited, confined. A thread that is made later is as its maker.
//
// What a process says of itself is not enough: nothing is handed to one that
// only believes to be confined.
func verifyConfined(pid int, user uint32) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(threads) == 0 {
		return fmt.Errorf("process %d has no threads", pid)
	}
	expected := confinedStatus(user)
	for _, thread := range threads {
		status, err := os.ReadFile(dir + "/" + thread.Name() + "/status")
		if err != nil {
			if os.IsNotExist(err) && thread.Name() != strconv.Itoa(pid) {
				continue // a thread that has ended
			}
			return err
		}
		if err := matchStatus(status, expected); err != nil {
			return fmt.Errorf("thread %s is not confined: %w", thread.Name(), err)
		}
	}
	return nil
}

func matchStatus(status []byte, expected map[string]string) error {
	found := 0
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(line), ":")
		want, ok := expected[name]
		if !ok {
			continue
		}
		if got := strings.Join(strings.Fields(value), " "); got != want {
			return fmt.Errorf("%s is %q, expected %q", name, got, want)
		}
		found++
	}
	if found != len(expected) {
		return fmt.Errorf("the kernel says %d of %d things about it", found, len(expected))
	}
	return nil
}
