//go:build linux

package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cache is shared with the other machines.
const cache = "/var/cache/kpm-vmtests"

// deadline is what one machine may take, its tree apart.
const deadline = 8 * time.Minute

// windows boots a machine that ends with the test and sees dir as Z:\here.
func windows(t testing.TB, dir string) *Machine {
	t.Helper()
	tree, err := Tree(context.Background(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Boot(t.Context(), tree, Bind{dir, "/here"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// build builds for Windows, as the go command's arguments say, with the tag that
// has Wine's one user pass for an administrator where files are looked at: Wine
// gives that user all of them.
func build(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{args[0], "-tags=wine"}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// outputOf runs a command to its end and returns what it wrote, by way of a file: what runs
// on would keep a pipe open, such as Windows where this is its first program, or a
// process that Wine has begun and that missed the end of all others.
func outputOf(t testing.TB, cmd *exec.Cmd) ([]byte, error) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	ended := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text, ended
}

// line is what vmtests/wine/verdict prints of a file.
type line struct{ Standing, Reason string }

// verdicts asks the Windows system about files in dir.
func verdicts(t *testing.T, dir string, names ...string) []line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	build(t, "build", "-o", filepath.Join(dir, "verdict.exe"), "./verdict")
	args := make([]string, len(names))
	for i, name := range names {
		args[i] = `Z:\here\` + name
	}
	out, err := windows(t, dir).Command(ctx, `Z:\here\verdict.exe`, args...).Output()
	if err != nil {
		t.Fatalf("verdict: %v\n%s", err, out)
	}
	var lines []line
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		lines = append(lines, l)
	}
	if len(lines) != len(names) {
		t.Fatalf("%d verdicts about %d files: %s", len(lines), len(names), out)
	}
	return lines
}

// run runs tests of a package that match a pattern, with keeperlaunch.exe and
// keeperreader.exe beside them, and returns what they printed.
func run(t *testing.T, pkg, pattern string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	dir := t.TempDir()
	build(t, "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "kpm/cmd/keeperlaunch", "kpm/cmd/keeperreader")
	build(t, "test", "-c", "-o", filepath.Join(dir, "tests.exe"), pkg)
	out, err := outputOf(t, windows(t, dir).Command(ctx, `Z:\here\tests.exe`, append(flags, "-test.v", "-test.run", pattern)...))
	if err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("%v\n%s", err, unpassed(string(out)))
	}
	if bytes.Contains(out, []byte("no tests to run")) {
		t.Fatalf("there were none:\n%s", out)
	}
	return string(out)
}

// The tests of platform/windows: its launcher, process tree and terminals by the
// suite of every platform, and what is its own.
func TestPlatformWindows(t *testing.T) {
	out := run(t, "../../platform/windows", ".")
	for said := range strings.Lines(out) {
		if _, reason, ok := strings.Cut(said, "not shown here: "); ok {
			t.Log("not shown under Wine: " + strings.TrimSpace(reason))
		}
	}
	t.Log("shown: " + strings.Join(passed(out), ", "))
}

// What none of these tests shows, for whoever reads their results.
func TestNotShown(t *testing.T) {
	for _, d := range Dishonest {
		t.Log("not shown under Wine: " + d.What + ": " + d.How)
	}
}

// What a launch takes beside CreateProcess alone: only the ratio means anything here.
func TestLaunchesBesideCreateProcess(t *testing.T) {
	out := run(t, "../../platform/windows", "^$", "-test.bench", "^BenchmarkLaunch$", "-test.benchtime", "20x")
	nanos := map[string]float64{}
	for _, m := range regexp.MustCompile(`BenchmarkLaunch/(\w+)\S*\s+20\s+(\d+) ns/op`).FindAllStringSubmatch(out, -1) {
		took, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		nanos[m[1]] = took
	}
	if nanos["ours"] == 0 || nanos["bare"] == 0 {
		t.Fatalf("no times:\n%s", out)
	}
	t.Logf("a launch takes %.0f ms, CreateProcess alone %.0f ms: %.2f", nanos["ours"]/1e6, nanos["bare"]/1e6, nanos["ours"]/nanos["bare"])
}

// passed are the cases of the suite that passed, by name.
func passed(out string) (names []string) {
	for said := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(said), "--- PASS: TestConformance/"); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, strings.ReplaceAll(name, "_", " "))
		}
	}
	return names
}

// unpassed is what was printed, without the tests that passed: a log that is cut short
// has room for what failed.
func unpassed(out string) string {
	var left, test []string
	for line := range strings.Lines(out) {
		switch {
		case strings.HasPrefix(line, "=== RUN") && !strings.Contains(line, "/"):
			left, test = append(left, test...), nil
		case strings.HasPrefix(line, "--- PASS: "):
			test = nil
			continue
		case strings.HasPrefix(strings.TrimSpace(line), "--- PASS: "):
			continue
		}
		test = append(test, line)
	}
	return strings.Join(append(left, test...), "")
}

func TestUnpassed(t *testing.T) {
	const out = "=== RUN   TestA\n    a said\n--- PASS: TestA (0.1s)\n    --- PASS: TestA/one (0.1s)\n" +
		"=== RUN   TestB\n=== RUN   TestB/one\n=== RUN   TestB/two\n    b said\n--- FAIL: TestB (0.1s)\n    --- PASS: TestB/one (0.1s)\n    --- FAIL: TestB/two (0.1s)\n" +
		"=== RUN   TestC\n--- PASS: TestC (0.1s)\n=== RUN   TestD\npanic: d\n"
	const want = "=== RUN   TestB\n=== RUN   TestB/one\n=== RUN   TestB/two\n    b said\n--- FAIL: TestB (0.1s)\n    --- FAIL: TestB/two (0.1s)\n" +
		"=== RUN   TestD\npanic: d\n"
	if got := unpassed(out); got != want {
		t.Errorf("got %q", got)
	}
}

// Both ends of what helpers are told, in the byte order and with the handles of
// Windows.
func TestHeldChildOnWindows(t *testing.T) { run(t, "../../platform/windows/held", ".") }

// Named pipes, files and folders, which plugins and keepersudo link, keepersudo's
// own ports, and what a reader of signatures is sent.
func TestPartsOnWindows(t *testing.T) {
	for _, pkg := range []string{"windows/pipe", "windows/file", "windows/caller", "windows/confined", "owner"} {
		t.Run(pkg, func(t *testing.T) { run(t, "../../platform/"+pkg, ".") })
	}
}

// The launcher on the real ports, killed at each step of a launch.
func TestKilledAtEachStepOnWindows(t *testing.T) {
	run(t, "../../launcher", "^TestNothingRunsThatTheJournalDoesNotName$")
}

// The whole service, on the operating system for tests: what is portable works
// with Windows' paths, files and TCP ports.
func TestServiceOnWindows(t *testing.T) {
	run(t, "../../service", "^Test(AnOperatingSystem|ReadyAndStopping|ACommandThatRunsOn|APolicyPluginThatEnds|TheAPIKnowsWhoAsks)$")
}

// The staged agent's executables start, and write their defaults.
func TestStagedAgentStarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	dir := t.TempDir()
	build(t, "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "kpm/cmd/KeeperPrivilegeManager", "kpm/cmd/KeeperAdminCLI", "kpm/cmd/keeperlaunch")
	m := windows(t, dir)
	if out, err := outputOf(t, m.Command(ctx, `Z:\here\KeeperPrivilegeManager.exe`, "defaults", "--root", `Z:\here\agent`)); err != nil {
		t.Errorf("defaults: %v\n%s", err, out)
	}
	jobs, err := filepath.Glob(filepath.Join(dir, "agent", "Jobs", "*.json"))
	if err != nil || len(jobs) == 0 {
		t.Errorf("no job files: %v, %v", jobs, err)
	}
	// Without the service, a helper ends at once, and has run nothing.
	err = m.Command(ctx, `Z:\here\keeperlaunch.exe`).Run()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 125 {
		t.Errorf("keeperlaunch by itself: %v, expected exit code 125", err)
	}
}

// A shutdown ends what runs; what was written stays.
func TestRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	m := windows(t, t.TempDir())
	add := m.Command(ctx, `C:\windows\system32\reg.exe`, "add", `HKLM\Software\kpm`, "/v", "kept", "/d", "yes", "/f")
	if out, err := outputOf(t, add); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := m.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	out, err := outputOf(t, m.Command(ctx, `C:\windows\system32\reg.exe`, "query", `HKLM\Software\kpm`, "/v", "kept"))
	if err != nil || !bytes.Contains(out, []byte("yes")) {
		t.Errorf("%v\n%s", err, out)
	}
}
