package execution

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
)

// The elevated command of bob, and what it starts.
const (
	elevatedToo, groupToo = 6, "cgroup:/sys/fs/cgroup/kpm/kpm-B"
)

// enterToo has bob's command run beside alice's.
func enterToo(t *testing.T, m *machine) {
	t.Helper()
	m.server.Started(enter(t, m, wire.ChildrenOwnRule))
	m.kernel.who[elevatedToo] = port.Executor{User: "0", Administrator: true, Group: groupToo}
	id := core.ProcessID{PID: elevatedToo, Start: 1}
	c := Command{Request: "BOBS", Rule: wire.ChildrenOwnRule, Question: wire.PolicyRequest{
		RequestID: "BOBS", SealDigest: "SEAL", EventType: wire.EventPrivilegeElevation, UserID: "1001", UserName: "bob", FilePath: "/usr/bin/script", FileHash: "script",
	}}
	if err := m.server.Enter(t.Context(), id, groupToo, c); err != nil {
		t.Fatal(err)
	}
	m.server.Started(id)
}

// programsOf gives the machine n more programs, and returns their inodes.
func programsOf(m *machine, n int) (inodes []uint64) {
	m.kernel.mu.Lock()
	defer m.kernel.mu.Unlock()
	for i := range n {
		inode := uint64(1000 + i)
		m.kernel.programs[inode] = port.Program{Path: fmt.Sprint("/usr/bin/many", i), Hash: fmt.Sprint(i)}
		inodes = append(inodes, inode)
	}
	return inodes
}

// Attack: commands run as root, whoever asked for them, and what one of them starts uses
// up what there is for root: what another one starts goes on without a decision.
func TestACommandHasSharesOfItsOwn(t *testing.T) {
	t.Run("of questions", func(t *testing.T) {
		within(t, func(t *testing.T, m *machine) {
			enterToo(t, m)
			m.policy = func(q wire.PolicyRequest) (wire.PolicyResponse, error) {
				if q.UserID == "1000" {
					time.Sleep(Deadline / 2)
				}
				return byName(q)
			}
			for _, inode := range programsOf(m, 4*maxUserAsked) {
				m.execute(elevated, inode)
			}
			synctest.Wait()
			if m.execute(elevatedToo, plain)() {
				t.Error("bob's command starts what it may not")
			}
			time.Sleep(10 * Deadline)
		})
	})
	t.Run("of files that are read", func(t *testing.T) {
		within(t, func(t *testing.T, m *machine) {
			enterToo(t, m)
			slow := programsOf(m, 2*maxUserReading)
			for _, inode := range slow {
				m.kernel.slow[inode] = true
			}
			for _, inode := range slow {
				m.execute(elevated, inode)
			}
			synctest.Wait()
			if m.execute(elevatedToo, plain)() {
				t.Error("bob's command starts what it may not")
			}
			time.Sleep(10 * Deadline)
		})
	})
	t.Run("of records", func(t *testing.T) {
		within(t, func(t *testing.T, m *machine) {
			enterToo(t, m)
			for _, inode := range programsOf(m, maxRecords+10) {
				m.execute(elevated, inode)()
			}
			m.execute(elevatedToo, plain)()
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			if last := m.records[len(m.records)-1]; last.Request != "BOBS" {
				t.Errorf("the last of %d records is of %s", len(m.records), last.Request)
			}
		})
	})
}

// Attack: whom to ask for more is looked up in a directory that does not answer. That
// keeps no place of the person's, and what they execute next is decided about.
func TestWhoIsToldSlowlyIsDecidedAbout(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.server.tell.refused = func(Refusal) { time.Sleep(10 * Deadline) }
		m.policy = func(wire.PolicyRequest) (wire.PolicyResponse, error) {
			return wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{ID: "p"}}}, nil
		}
		for i, inode := range programsOf(m, maxUserAsked+1) {
			if m.execute(alice, inode)() {
				t.Errorf("execution %d goes on", i)
			}
		}
	})
}
