//go:build linux

// Command failson runs tests of this tree against the staged agent of another
// revision, and succeeds only if each of them fails there: proof that a test
// notices what it is about. `make fails-on` runs it. Tests that do not drive
// the staged agent (vmtests/agent) pass there as well as here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"kpm/vmtests/agent"
)

func main() {
	base := flag.String("base", "", "git revision")
	pkg := flag.String("package", "./vmtests/e2e", "directory of the tests")
	run := flag.String("run", ".", "which tests, as go test -run takes it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := failsOn(ctx, *base, *pkg, *run); err != nil {
		fmt.Fprintln(os.Stderr, "fails-on:", err)
		os.Exit(1)
	}
}

func failsOn(ctx context.Context, base, pkg, run string) (err error) {
	if base == "" {
		return errors.New("which revision? make fails-on BASE=REVISION PKG=./vmtests/e2e RUN=REGEXP")
	}
	revision, err := agent.Checkout(ctx, base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, revision.Close()) }()
	// Compiled apart from the run: tests that do not compile have not failed.
	tests := filepath.Join(filepath.Dir(revision.Dir), "tests")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", tests, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
	}
	cmd := exec.CommandContext(ctx, tests, "-test.v", "-test.count=1", "-test.timeout=15m", "-test.run="+run)
	cmd.Dir, cmd.Env = pkg, revision.Environ()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	ran, failed := outcomes(string(out))
	passed := slices.DeleteFunc(ran, func(name string) bool { return slices.Contains(failed, name) })
	switch {
	case len(failed) == 0 && len(passed) == 0:
		return fmt.Errorf("no test ran\n%s", out)
	case len(passed) > 0:
		return fmt.Errorf("on %s these do not fail: %s\n%s", base, strings.Join(passed, ", "), out)
	}
	fmt.Printf("%s\non %s each of these fails: %s\n", out, base, strings.Join(failed, ", "))
	return nil
}

var (
	started = regexp.MustCompile(`(?m)^=== RUN +(\S+)$`)
	ended   = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+) \(`)
)

// outcomes lists the tests that ran and those that failed, innermost only.
func outcomes(out string) (ran, failed []string) {
	names := func(pattern *regexp.Regexp) (found []string) {
		for _, match := range pattern.FindAllStringSubmatch(out, -1) {
			found = append(found, match[1])
		}
		return found
	}
	all := names(started)
	inner := func(name string) bool {
		return !slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, name+"/") })
	}
	for _, name := range all {
		if inner(name) {
			ran = append(ran, name)
		}
	}
	for _, name := range names(ended) {
		if inner(name) {
			failed = append(failed, name)
		}
	}
	return ran, failed
}
