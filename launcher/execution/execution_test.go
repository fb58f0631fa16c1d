package execution

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
)

// Executions by anybody are decided by policies of type FileAccess. A verdict holds
// until policies change, or for a while.
func TestFiles(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		for _, step := range []struct {
			name    string
			process int
			inode   uint64
			allow   bool
			asked   int // questions so far
		}{
			{"what is denied", alice, denied, false, 1},
			{"again", alice, denied, false, 1},
			{"by a set-user-id program", setuid, denied, false, 1},
			{"by root", root, denied, true, 1},
			{"what nobody restricts", alice, plain, true, 2},
			{"by somebody who has ended", 99, denied, true, 2},
			{"what is held up", alice, held, false, 3},
			{"what is held up, again", alice, held, false, 4}, // it may have been given meanwhile
		} {
			if got := m.execute(step.process, step.inode)(); got != step.allow || m.questions() != step.asked {
				t.Errorf("%s: %v after %d questions, expected %v after %d", step.name, got, m.questions(), step.allow, step.asked)
			}
		}
		if len(m.ignored) != 1 || m.ignored[0] != plain {
			t.Errorf("ignored: %v", m.ignored)
		}
		time.Sleep(fresh)
		m.execute(alice, denied)()
		m.server.Policies("second", true, false)
		synctest.Wait()
		m.execute(alice, denied)()
		m.server.Policies("second", true, false)
		m.execute(alice, denied)()
		if m.questions() != 6 || len(m.ignored) != 0 {
			t.Errorf("%d questions, expected 6; ignored: %v", m.questions(), m.ignored)
		}
		wantRecords(t, m, "file-access DENY", "file-access DENY")
		if r := m.records[0]; r.UserID != "1000" || r.User != "alice" || r.Program.Path != "/usr/bin/denied" || r.Program.SHA256 != "denied" || r.Child.PID != alice || r.Policies[0].ID != "p" {
			t.Errorf("%+v", r)
		}
		m.server.Policies("third", false, false)
		synctest.Wait()
		if m.execute(alice, denied)() != true || m.watched {
			t.Error("executions are stopped although no policy is about them")
		}
	})
}

// A grant lets its owner execute what policies hold up, as long as it lasts.
func TestGranted(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		var granted bool
		m.server.cfg.Granted = func(user core.UserID, path string, _, inode uint64) bool {
			return granted && user == "1000" && inode == held && path == "/usr/bin/held"
		}
		for _, given := range []bool{false, true, false} {
			granted = given
			if m.execute(alice, held)() != given {
				t.Errorf("granted %v", given)
			}
		}
		granted = true
		if m.execute(alice, denied)() {
			t.Error("a grant is stronger than a DENY")
		}
	})
}

func enter(t *testing.T, m *machine, rule string) core.ProcessID {
	t.Helper()
	id := core.ProcessID{PID: elevated, Start: 1}
	c := Command{Request: "REQ", Rule: rule, Satisfied: []core.Control{core.ControlMFA}, Question: wire.PolicyRequest{
		RequestID: "REQ", SealDigest: "SEAL", EventType: wire.EventPrivilegeElevation, UserID: "1000", UserName: "alice", TargetUserID: "0", FilePath: "/usr/bin/script", FileHash: "script", Arguments: []string{"script", "-x"},
	}}
	if err := m.server.Enter(t.Context(), id, group, c); err != nil {
		t.Fatal(err)
	}
	return id
}

// What an elevated command starts is decided about with the question that the command
// was allowed by. Itself, its interpreter and its loader are no children.
func TestChildren(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.server.Policies("none about files", false, false)
		id := enter(t, m, wire.ChildrenOwnRule)
		for _, inode := range []uint64{script, python, loader} {
			if !m.execute(elevated, inode)() {
				t.Errorf("file %d of the command itself is refused", inode)
			}
		}
		if m.questions() != 0 {
			t.Errorf("policy was asked about the command again: %+v", m.asked)
		}
		m.server.Started(id)
		for _, step := range []struct {
			name  string
			inode uint64
			allow bool
		}{
			{"a program with a rule of its own", tool, true},
			{"its loader", loader, true},
			{"a loader by itself", loader, false},
			{"a program without one", plain, false},
			{"what is denied", denied, false},
			{"the same file in another view of the file system", copied, false},
			{"itself again", script, false},
		} {
			if got := m.execute(elevated, step.inode)(); got != step.allow {
				t.Errorf("%s: %v", step.name, got)
			}
		}
		q := m.asked[0]
		if q.Parent == nil || q.Parent.FilePath != "/usr/bin/script" || q.Parent.RequestID != "" || q.RequestID != "" || len(q.Satisfied) != 1 || q.UserName != "alice" || q.FileHash != "tool" || len(q.Arguments) != 1 || q.Arguments[0] != "tool" {
			t.Errorf("asked: %+v", q)
		}
		// Others are as before.
		if !m.execute(alice, denied)() || !m.execute(root, denied)() {
			t.Error("somebody else is stopped")
		}
		wantRecords(t, m, "child ALLOW", "child DENY", "child DENY", "child DENY", "child DENY", "child DENY")
		if r := m.records[1]; r.Request != "REQ" || r.User != "alice" || r.Child.Group != group || r.Program.Path != "/lib/ld.so" {
			t.Errorf("%+v", r)
		}
		m.server.Leave(id)
		synctest.Wait()
		if !m.execute(elevated, denied)() || m.watched {
			t.Error("the group is still stopped")
		}
	})
}

// A script that is allowed may be run by an interpreter without a rule, and not by one
// that is denied.
func TestScriptsOfChildren(t *testing.T) {
	for name, python := range map[string]bool{"allowed": true, "denied": false} {
		within(t, func(t *testing.T, m *machine) {
			m.policy = func(q wire.PolicyRequest) (wire.PolicyResponse, error) {
				switch {
				case q.FilePath == "/usr/bin/script":
					return wire.PolicyResponse{Decision: core.Allow}, nil
				case q.FilePath == "/usr/bin/python" && !python:
					return wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{ID: "p"}}}, nil
				}
				return wire.PolicyResponse{Decision: core.Deny}, nil
			}
			m.server.Started(enter(t, m, wire.ChildrenOwnRule))
			if !m.execute(elevated, script)() || m.execute(elevated, 14)() != python {
				t.Errorf("%s interpreter", name)
			}
		})
	}
}

// What an earlier service has started, or a redirect rule, is held to the rule that is
// on record.
func TestRuleOnly(t *testing.T) {
	for rule, want := range map[string][3]bool{ // a tool that is allowed, a plain one, one that is denied
		"": {true, true, false}, wire.ChildrenOwnRule: {true, false, false}, wire.ChildrenDenied: {false, false, false},
	} {
		within(t, func(t *testing.T, m *machine) {
			err := m.server.Enter(t.Context(), core.ProcessID{PID: elevated}, group, Command{Request: "REQ", Rule: rule, RuleOnly: true, Runs: true, Question: wire.PolicyRequest{EventType: wire.EventPrivilegeElevation, UserID: "1000", UserName: "alice"}})
			if err != nil {
				t.Fatal(err)
			}
			for i, inode := range []uint64{tool, plain, denied} {
				if got := m.execute(elevated, inode)(); got != want[i] {
					t.Errorf("%q: file %d: %v", rule, inode, got)
				}
			}
		})
	}
}

// Without a decision in time an execution goes on, and that is on record. One at a
// time finds out whether there are decisions again; nobody else waits meanwhile.
func TestWithoutADecision(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		if m.execute(alice, denied)() {
			t.Fatal("what is denied")
		}
		m.policy = func(wire.PolicyRequest) (wire.PolicyResponse, error) {
			return wire.PolicyResponse{}, errors.New("gone")
		}
		begun := time.Now()
		first := m.execute(alice, held)
		if !first() || time.Since(begun) > Deadline+look {
			t.Errorf("without a decision: after %s", time.Since(begun))
		}
		second := m.execute(alice, held)
		third := m.execute(alice, tool)
		if begun := time.Now(); !third() || time.Since(begun) != 0 {
			t.Errorf("another waits as well: %s", time.Since(begun))
		}
		second()
		time.Sleep(fresh)
		if m.execute(alice, denied)() {
			t.Error("what was denied goes on although policies have not changed")
		}
		wantRecords(t, m, "file-access DENY", "unanswered ALLOW", "unanswered ALLOW")
		m.policy = byName
		if m.execute(alice, held)() {
			t.Error("there are decisions again, and none was asked for")
		}
	})
}

// Attack: a file whose reading does not end. Its owner waits, and nobody else.
func TestAFileThatDoesNotEnd(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.slow[plain] = true
		slow := m.execute(alice, plain)
		if m.execute(alice, denied)() {
			t.Error("another file is not decided about")
		}
		if !slow() {
			t.Error("it was refused")
		}
		if m.execute(alice, held)() {
			t.Error("others go on without a decision")
		}
		wantRecords(t, m, "file-access DENY", "unanswered ALLOW", "file-access DENY")
	})
}

// The kernel is told that the Holder works only while it does.
func TestAHolderThatIsStuck(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		time.Sleep(10 * Deadline)
		m.kernel.mu.Lock()
		alive := m.alive
		m.kernel.mu.Unlock()
		if time.Since(alive) > look {
			t.Error("the kernel was not told that the Holder works")
		}
		h := newHolder(m.kernel, func(report) bool { return true })
		h.busy = time.Now()
		if err := h.tick(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * Deadline)
		if err := h.tick(); !errors.Is(err, errStuck) {
			t.Errorf("it is stuck, and says %v", err)
		}
	})
}

// A Holder that ends is started again, and knows which commands there are.
func TestAHolderThatEnds(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.server.Started(enter(t, m, wire.ChildrenOwnRule))
		m.kernel.Close() // what waits goes on
		synctest.Wait()
		if err := m.server.Ready(); err == nil || !errors.Is(err, errEnded) {
			t.Errorf("ready: %v", err)
		}
		if err := m.server.Enter(t.Context(), core.ProcessID{PID: 9}, group+"9", Command{}); err == nil {
			t.Error("a command is taken that nothing holds")
		}
		m.server.Leave(core.ProcessID{PID: 9})
		next := newKernel()
		next.who, next.programs = m.kernel.who, m.kernel.programs
		m.mu.Lock()
		m.kernel = next
		m.mu.Unlock()
		time.Sleep(first)
		synctest.Wait()
		if m.execute(elevated, plain)() || !m.execute(elevated, tool)() {
			t.Error("the new one does not know of the command")
		}
		wantRecords(t, m, "lifted ALLOW", "child DENY", "child ALLOW")
	})
}

func TestSwitchedOff(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.server.Switch(false, nil)
		synctest.Wait()
		if err := m.server.Ready(); !errors.Is(err, ErrOff) || !m.closed {
			t.Errorf("off: %v", err)
		}
		if err := m.server.Enter(t.Context(), core.ProcessID{PID: 9}, group, Command{}); !errors.Is(err, ErrOff) {
			t.Errorf("a command enters: %v", err)
		}
		m.broken = core.ErrSwitchedOff
		m.server.Switch(true, nil)
		time.Sleep(time.Hour)
		if err := m.server.Ready(); !errors.Is(err, core.ErrSwitchedOff) {
			t.Errorf("switched off by an administrator: %v", err)
		}
		wantRecords(t, m)
	})
}

// An administrator takes the way out while programs are stopped: the journal says so, and
// nothing starts again.
func TestSwitchedOffMeanwhile(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.broken = core.ErrSwitchedOff
		m.kernel.Close()
		synctest.Wait()
		if err := m.server.Ready(); !errors.Is(err, core.ErrSwitchedOff) || errors.Is(err, errEnded) {
			t.Errorf("ready: %v", err)
		}
		wantRecords(t, m, "lifted ALLOW")
		m.mu.Lock()
		defer m.mu.Unlock()
		if got := m.records[0].Message; got != core.ErrSwitchedOff.Error() {
			t.Errorf("on record is %q", got)
		}
	})
}

func TestCommandsWithoutAGroup(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		if err := m.server.Enter(t.Context(), core.ProcessID{PID: 9}, "session:9@1:boot", Command{}); !errors.Is(err, errNoGroup) {
			t.Errorf("%v", err)
		}
	})
}

// Attack: thousands of executions at once, of files that nobody has decided about. All
// are answered, and each once.
func TestAStorm(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		var answers []func() bool
		for i := range uint64(2 * maxWaiting) {
			m.kernel.mu.Lock()
			m.programs[1000+i] = port.Program{Path: "/home/alice/program", Hash: "x"}
			m.kernel.mu.Unlock()
			answers = append(answers, m.execute(alice, 1000+i))
		}
		for _, answer := range answers {
			answer()
		}
		if err := m.server.Ready(); err != nil {
			t.Error(err)
		}
		if m.policy = byName; m.execute(bob, denied)() {
			t.Error("somebody else goes on without a decision")
		}
	})
}
