// Package spintest has Debian's spin go through every order of events that a model
// allows, for tests that make such a model of the table that their package runs by
// (https://spinroot.com). It knows nothing of what is modelled.
package spintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Holds fails the test for each claim (an "ltl NAME { ... }" of the model, in Promela)
// that does not hold in every run.
func Holds(t *testing.T, model string, claims ...string) {
	t.Helper()
	check := checker(t, model)
	for _, claim := range claims {
		if out := check(claim); !holds(out) {
			t.Errorf("%s does not hold:\n%s", claim, out)
		}
	}
}

// Finds fails the test unless a claim does not hold any more of a model in which right,
// which it has, is replaced by wrong: a claim that holds of anything says nothing.
func Finds(t *testing.T, model, claim, right, wrong string) {
	t.Helper()
	broken := strings.Replace(model, right, wrong, 1)
	if broken == model {
		t.Fatalf("the model has no %q:\n%s", right, model)
	}
	if holds(checker(t, broken)(claim)) {
		t.Errorf("%s holds all the same with %q", claim, wrong)
	}
}

func holds(out string) bool { return strings.Contains(out, "errors: 0") }

// checker makes what goes through a model for one claim, and returns what it says.
func checker(t *testing.T, model string) func(claim string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.pml"), []byte(model), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	run("spin", "-a", "model.pml")
	run("gcc", "-O1", "-w", "-o", "pan", "pan.c")
	return func(claim string) string { return run("./pan", "-a", "-N", claim) }
}
