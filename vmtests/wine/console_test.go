//go:build linux

package wine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/terminal"
)

// consoleSource is a program that asks and answers on its console, which it opens
// by name: Wine does not set the standard handles of a pseudo console.
const consoleSource = `package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

func main() {
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		os.Exit(90)
	}
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		os.Exit(91)
	}
	fmt.Fprint(out, "your name? ")
	name, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		os.Exit(92)
	}
	fmt.Fprintf(out, "hello %s\r\n", strings.TrimSpace(name))
	os.Exit(6)
}
`

// justify has people say why they run what lies in C:\Ask.
const justify = `{
  "PolicyId": "ask", "PolicyName": "Say why", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["C:\\Ask\\*"]
}`

// A person at a console is asked for a reason, and the command has a pseudo console
// that the person sees and types into.
func TestConsoleOnWindows(t *testing.T) {
	a := install(t)
	a.write("KPM/Policies/ask.json", justify, 0o644)
	folder := filepath.Join(filepath.Dir(a.root), "Ask")
	a.folder(folder, 0o755)
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(consoleSource), 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, "build", "-ldflags", "-s -w", "-o", filepath.Join(folder, "console.exe"), source)
	a.must(inside+`\KeeperPrivilegeManager.exe`, "install", "--root", inside)
	a.boot()

	screen, err := terminal.Open(0, 30, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	cmd := a.Command(a.ctx, inside+`\keepersudo.exe`, "--root", inside, `C:\Ask\console.exe`)
	screen.Attach(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	step := func(shown, typed string) {
		t.Helper()
		if err := screen.Expect(shown, patience); err != nil {
			t.Fatalf("%v; the screen shows %q", err, screen.Output())
		}
		if err := screen.Type(typed); err != nil {
			t.Fatal(err)
		}
	}
	step("Reason for running", "the disk is full\r")
	step("your name?", "Ada\r")
	if err := screen.Expect("hello Ada", patience); err != nil {
		t.Errorf("%v; the screen shows %q", err, screen.Output())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 6 {
			t.Errorf("%v, expected exit code 6", err)
		}
	case <-time.After(patience):
		t.Fatalf("it does not end; the screen shows %q", screen.Output())
	}
	if _, types := a.last(); strings.TrimSuffix(types, " left") != "opened evaluating pending control allowed launching launched ended" {
		t.Errorf("recorded: %s", types)
	}
}
