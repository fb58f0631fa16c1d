//go:build linux && setsclock

package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
	"kpm/vmtests/kernel"
)

// TestAClockThatIsSet: the clock on the wall goes to next year, to last year and back,
// and a grant has the time left that it had, a pause is as long as it was, and both end
// while it is wrong. It runs in the machine of vmtests/kernel, which has a clock of its
// own to set and builds it for that; elsewhere it is never set.
// https://github.com/Jigsaw24/Elevate24/releases/tag/v2.6.1
func TestAClockThatIsSet(t *testing.T) {
	options, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(options)), kernel.ClockMaySet) {
		t.Fatal("this machine's clock is not for tests to set: vmtests/kernel TestAClockThatIsSet runs this in one of its own")
	}
	a := newAgent(t, "["+strings.Join([]string{
		justified("kept", "id", `{"For": "2h"}`),
		justified("paused", "whoami", `{"For": "1s", "CoolDown": "2h"}`),
		justified("ending", "uname", `{"For": "20s"}`),
		justified("briefly-paused", "arch", `{"For": "1s", "CoolDown": "20s"}`),
	}, ",")+"]", nil)
	s := newShell(t, a)
	over := func(policy string) {
		t.Helper()
		eventually(t, policy+" is over", func() bool { _, is := timeLeft(t, a, policy); return !is })
	}
	s.reasoned("keepersudo --for 2h id -u")
	s.reasoned("keepersudo --for 1s whoami")
	over("whoami")

	before, given := timeLeft(t, a, "id")
	if !given {
		t.Fatalf("nothing was granted: %+v", grantsOf(t, a))
	}
	began := time.Now()
	waits := regexp.MustCompile(`lets the next be remembered in (1h5\dm|2h)`)
	for _, step := range []struct {
		years int
		says  string
	}{{1, "a year ahead"}, {-2, "a year behind"}, {1, "right again"}} {
		if step.years == -2 {
			s.reasoned("keepersudo --for 20s uname")
			s.reasoned("keepersudo --for 1s arch")
		}
		setClock(t, step.years)
		if step.years == 1 {
			if err := a.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		now, given := timeLeft(t, a, "id")
		if passed := time.Since(began); !given || now > before || now < before-passed-2*time.Second {
			t.Errorf("%s: %v of %v are left after %v: %+v", step.says, now, before, passed, grantsOf(t, a))
		}
		if out := s.run("keepersudo -n id -u"); !strings.Contains(out, "\n0\r\n") {
			t.Errorf("%s: the grant does not serve: %q", step.says, out)
		}
		if out := s.reasoned("keepersudo --for 1s whoami"); !waits.MatchString(strings.Join(strings.Fields(out), " ")) {
			t.Errorf("%s: the pause is not what it was: %q", step.says, out)
		}
		if step.years == -2 {
			over("uname")
			eventually(t, "the pause is over", func() bool {
				return !strings.Contains(strings.Join(strings.Fields(s.reasoned("keepersudo --for 1s arch")), " "), "lets the next be remembered in")
			})
		}
	}
	if _, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Error(err)
	}
}

// timeLeft is the time that is left of the grant for a program.
func timeLeft(t *testing.T, a *agent.Agent, program string) (time.Duration, bool) {
	t.Helper()
	for _, g := range grantsOf(t, a) {
		if strings.Contains(g.Command, "/"+program) {
			return time.Duration(g.SecondsLeft) * time.Second, true
		}
	}
	return 0, false
}

// setClock sets the clock on the wall so many years on.
func setClock(t *testing.T, years int) {
	t.Helper()
	at := unix.NsecToTimespec(time.Now().AddDate(years, 0, 0).UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &at); err != nil {
		t.Fatal("set the clock:", err)
	}
}
