//go:build linux

package early

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Ignored are the signals that whoever started this process has it ignore, one
// bit each from signal 1 on.
//
// The Go runtime puts handlers of its own in their place before any Go code
// runs, and remembers only SIGHUP and SIGINT. So keepersudo is linked with an
// entry point that notes them first (entry_amd64.s and its like; make stage).
// Without it, it works all the same, but for ignored signals other than these.
var Ignored uint64

// That entry point calls begin before, and does more after it, which shortens what the
// runtime takes.
//
// It puts oneProcessor behind the environment: to begin with all processors and give
// them up again takes longer. It takes the files away that the runtime opens to find
// out its share of the processors, which needs the table of mounts: it lets only
// descriptors 0 to 2 be opened. The runtime then allows itself as many as there may
// be, as it does in any case. It lets timers be ten milliseconds late: the thread by
// which the runtime watches its others would look every 20 us, on a processor that others
// wait for. It takes the only processor that the runtime uses from a system call, such as
// a write to a terminal that is stopped, at its second look. And it has no samples of
// memory taken: the first one is due before the runtime finds that nobody can ask for them.
const oneProcessor = "GOMAXPROCS=1"

// fileLimit is how many files whoever started this process lets it have open; zero if
// the entry point did not look.
var fileLimit unix.Rlimit

// timerSlack is by how much whoever started this process lets its timers be late, in
// nanoseconds; zero if the entry point did not look.
var timerSlack uint64

// memProfileRate is where the entry point finds the runtime's variable.
var memProfileRate = &runtime.MemProfileRate //nolint:unused // the entry point, in assembler, uses it

// AsStarted has the next program begin as this one was started, and returns its
// environment.
func AsStarted() []string {
	runtime.LockOSThread() // each has its own timers, and the one that executes leaves its own to the program
	if fileLimit.Max != 0 {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &fileLimit) // which it was before
	}
	if timerSlack != 0 {
		unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
	}
	environ := os.Environ()
	if last := len(environ) - 1; last >= 0 && environ[last] == oneProcessor {
		environ = environ[:last]
	}
	return environ
}
