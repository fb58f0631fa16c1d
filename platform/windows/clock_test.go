//go:build windows

package windows

import (
	"testing"
	"time"
)

// The clock goes on, and this start of the machine keeps its name. That another start
// has another, vmtests/wine looks at.
func TestClock(t *testing.T) {
	boot, before, err := Clock{}.Now()
	must(t, err)
	t.Logf("this start is %s", boot)
	if len(boot) < 20 {
		t.Errorf("this start is %q, which somebody could guess", boot)
	}
	time.Sleep(50 * time.Millisecond)
	again, after, err := Clock{}.Now()
	must(t, err)
	if again != boot {
		t.Errorf("this start was %q, and is %q", boot, again)
	}
	if passed := after - before; passed < 20*time.Millisecond || passed > time.Minute {
		t.Errorf("%s have passed", passed)
	}
}
