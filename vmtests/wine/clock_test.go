//go:build linux

package wine

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"
)

// A start of the machine has a name, whoever asks, and the next start has another.
func TestNameOfAStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	dir := t.TempDir()
	build(t, "test", "-c", "-o", filepath.Join(dir, "tests.exe"), "../../platform/windows")
	m := windows(t, dir)
	name := func() string {
		t.Helper()
		out, err := outputOf(t, m.Command(ctx, `Z:\here\tests.exe`, "-test.v", "-test.run", "^TestClock$"))
		start := regexp.MustCompile(`this start is (\w{20,})`).FindSubmatch(out)
		if err != nil || start == nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(start[1])
	}
	holder := m.Command(ctx, `C:\windows\system32\cmd.exe`) // without a program Windows would shut down between two
	input, err := holder.StdinPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		input.Close()
		holder.Wait() // its status is of no interest
	}()
	first := name()
	if again := name(); again != first {
		t.Errorf("this start is %s, and %s to another process", first, again)
	}
	if err := m.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if next := name(); next == first {
		t.Errorf("the next start is %s as well", next)
	}
}
