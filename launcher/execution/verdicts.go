package execution

import (
	"time"

	"kpm/core"
	"kpm/core/port"
)

// Bounds of what the Holder remembers. Policies may be about dates and times, so that
// a verdict is asked for again after a while even if they have not changed.
const (
	maxVerdicts = 16 << 10
	fresh       = 30 * time.Second
)

// subject is what a verdict is about: who executes what. Another content, mode or
// owner of the file is another subject.
type subject struct {
	user   core.UserID
	group  string
	file   port.FileState
	script bool
}

// share is whose part of every bound a subject uses up. Attack: what one elevated
// command starts as root uses up what there is for root, and what another one starts
// goes on without a decision.
type share struct {
	user  core.UserID
	group string
}

func (s subject) share() share { return share{s.user, s.group} }

// verdict is what was decided, and what the kernel opens next for that file.
type verdict struct {
	allow       bool
	at          time.Time
	interpreter port.FileState
	script      bool
}

// verdicts are those that policies in force have led to.
type verdicts map[subject]verdict

// fresh returns a verdict that is young enough.
func (v verdicts) fresh(s subject, now time.Time) (verdict, bool) {
	found, ok := v[s]
	return found, ok && now.Sub(found.at) < fresh
}

// put remembers one. When there are too many all are forgotten: the next ones are
// asked for again.
func (v verdicts) put(s subject, d verdict) {
	if len(v) >= maxVerdicts {
		clear(v)
	}
	v[s] = d
}

// expected is what a process will have the kernel open next, after a program of it was
// allowed: not a program that it starts, but what that one is run by.
type expected struct {
	file   port.FileState
	script bool
	until  time.Time
}

// soon is how long after a program its interpreter is taken for that, and maxExpected
// how many processes are waited for.
const (
	soon        = 2 * time.Second
	maxExpected = 4096
)

type interpreters map[int]expected

func (i interpreters) put(process int, v verdict, now time.Time) {
	if v.interpreter == (port.FileState{}) {
		delete(i, process)
		return
	}
	if len(i) >= maxExpected {
		clear(i)
	}
	i[process] = expected{v.interpreter, v.script, now.Add(soon)}
}

// take reports whether file is what the process runs its program by, and whether that
// is a script's. It is asked once for each program.
func (i interpreters) take(process int, file port.FileState, now time.Time) (is, script bool) {
	next, waits := i[process]
	delete(i, process)
	return waits && next.file == file && now.Before(next.until), next.script
}
