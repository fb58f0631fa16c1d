//go:build linux

package linux

import "testing"

func TestClock(t *testing.T) {
	boot, before, err := Clock{}.Now()
	if err != nil || boot == "" || before <= 0 {
		t.Fatalf("%q, %v, %v", boot, before, err)
	}
	again, after, err := Clock{}.Now()
	if err != nil || again != boot || after < before {
		t.Errorf("%q, %v after %q, %v: %v", again, after, boot, before, err)
	}
}
