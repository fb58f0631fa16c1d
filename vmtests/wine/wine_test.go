//go:build linux

package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// cache is shared with the other machines.
const cache = "/var/cache/kpm-vmtests"

// line is what vmtests/wine/verdict prints of a file.
type line struct{ Standing, Reason string }

// verdicts asks the Windows system about files of this one.
func verdicts(t *testing.T, files ...string) []line {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "verdict.exe")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./verdict")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p, err := Open(ctx, cache, t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	args := make([]string, len(files))
	for i, f := range files {
		args[i] = `Z:` + filepath.ToSlash(f)
	}
	out, err := p.Run(ctx, program, args...)
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
	if len(lines) != len(files) {
		t.Fatalf("%d verdicts about %d files: %s", len(lines), len(files), out)
	}
	return lines
}

// run runs tests of a package that match a pattern.
func run(t *testing.T, pkg, pattern string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "tests.exe")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	p, err := Open(ctx, cache, t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	out, err := p.Run(ctx, program, "-test.v", "-test.run", pattern)
	if err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("no tests to run")) {
		t.Fatalf("there were none:\n%s", out)
	}
}

// The tests of platform/windows that Wine can run: it keeps no key for longer
// than a process, and no ECDSA key at all.
func TestPlatformWindows(t *testing.T) { run(t, "../../platform/windows", ".") }

// The whole service, on the operating system for tests: what is portable works
// with Windows' paths, files and TCP ports.
func TestServiceOnWindows(t *testing.T) {
	run(t, "../../service", "^Test(AnOperatingSystem|ReadyAndStopping|ACommandThatRunsOn|APolicyPluginThatEnds|TheAPIKnowsWhoAsks)$")
}
