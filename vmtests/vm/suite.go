package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// suite installs the package on a guest, holds the agent to every promise and to
// the suite of every launcher, and removes the package.
func suite(ctx context.Context, g guest, o options, s system) error {
	found, err := filepath.Glob(filepath.Join(o.packages, s.pattern))
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%s: %d packages, expected one", filepath.Join(o.packages, s.pattern), len(found))
	}
	t := &teller{ctx: ctx, guest: g, system: s}
	t.must("the package arrives", g.put(ctx, found[0], s.upload))
	t.must("the conformance suite arrives", g.put(ctx, filepath.Join(o.work, "conformance"+s.suffix()), s.tests))
	t.administrator("two people get accounts", s.people)
	t.administrator("the package installs", s.install)
	t.all(installed)
	written, err := os.CreateTemp(o.work, "policies-")
	if err != nil {
		return err
	}
	if _, err := written.WriteString(policies); err != nil {
		return err
	}
	if err := written.Close(); err != nil {
		return err
	}
	t.must("a policy arrives", g.put(ctx, written.Name(), s.policies))
	t.administrator("the policy is put into force", s.reload)
	t.settled(allowed[0])
	t.all(allowed)
	t.administrator("launcher, process tree and terminals conform", s.conformance)
	t.administrator("the package goes, and leaves nothing", s.remove)
	fmt.Printf("%d held, %d did not\n", t.held, t.failed)
	if t.failed > 0 {
		return fmt.Errorf("%d of %d cases failed on %s", t.failed, t.held+t.failed, o.os)
	}
	return nil
}

// teller tells of each case, in one line, what became of it.
type teller struct {
	ctx          context.Context
	guest        guest
	system       system
	held, failed int
}

func (t *teller) tell(name string, began time.Time, wrong string) {
	if wrong == "" {
		t.held++
		fmt.Printf("%-52s %s\n", name, time.Since(began).Round(100*time.Millisecond))
		return
	}
	t.failed++
	fmt.Printf("%-52s FAILED\n    %s\n", name, strings.ReplaceAll(strings.TrimSpace(wrong), "\n", "\n    "))
}

func (t *teller) must(name string, err error) {
	wrong := ""
	if err != nil {
		wrong = err.Error()
	}
	t.tell(name, time.Now(), wrong)
}

// administrator runs a script in which every command must succeed.
func (t *teller) administrator(name, script string) {
	if t.system.goos != "windows" {
		script = "set -e\n" + script
	}
	began := time.Now()
	got, err := t.guest.run(t.ctx, script)
	t.tell(name, began, differs(promise{}, got, err))
}

func (t *teller) all(promises []promise) {
	for _, p := range promises {
		if t.system.script(p) == "" {
			continue
		}
		began := time.Now()
		got, err := t.ask(p)
		t.tell(p.name, began, differs(p, got, err))
	}
}

// settled waits until p holds: what was written a moment ago may not be in force.
func (t *teller) settled(p promise) {
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		if got, err := t.ask(p); differs(p, got, err) == "" {
			return
		}
	}
}

// ask has the person of a case run its script, which lies in a file: what the
// script reads is nobody's.
func (t *teller) ask(p promise) (answer, error) {
	script := t.system.script(p)
	if t.system.goos == "windows" {
		if p.as == "" {
			return t.guest.run(t.ctx, script)
		}
		write := "Set-Content -Path C:\\Users\\Public\\kpm-case.ps1 -Value @'\n" + script + "\n'@\n"
		return t.guest.run(t.ctx, write+t.system.as(p.as))
	}
	command := "sh /tmp/kpm-case </dev/null"
	if p.as != "" {
		command = t.system.as(p.as)
	}
	return t.guest.run(t.ctx, "cat >/tmp/kpm-case <<'KPM-END'\n"+script+"\nKPM-END\n"+command)
}

// differs says how an answer differs from what was promised, empty if it does not.
func differs(p promise, got answer, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case got.status != p.status:
		return fmt.Sprintf("exit status %d, expected %d: %s", got.status, p.status, got.said)
	case !strings.Contains(got.said, p.says):
		return fmt.Sprintf("it says %q, expected %q in it", got.said, p.says)
	}
	return ""
}
