//go:build linux

package wine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/terminal"
)

// interrupterSource is a person at a console: it starts a command whose streams are
// pipes, waits until that says something, presses a key, and says what the command
// ended with.
const interrupterSource = `package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ignored := make(chan os.Signal, 8)
	signal.Notify(ignored, os.Interrupt)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	input, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		panic(err)
	}
	const ctrlC = 0
	ok, _, err := syscall.NewLazyDLL("kernel32.dll").NewProc("GenerateConsoleCtrlEvent").Call(ctrlC, 0)
	if ok == 0 {
		panic(err)
	}
	cmd.Wait()
	input.Close()
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(out, "it ended with %d\r\n", cmd.ProcessState.ExitCode())
}
`

// What keepersudo passes on: exit codes whole, and Ctrl-C of a person whose command has
// no console of theirs.
func TestRelayOnWindows(t *testing.T) {
	a := install(t)
	a.must(inside+`\KeeperPrivilegeManager.exe`, "install", "--root", inside)
	a.boot()

	t.Run("exit codes, all 32 bits", func(t *testing.T) {
		codes := []string{"0", "1", "255", "256", "65536", "2147483647", "-1", "-1073741819"}
		a.write("Shared/codes.cmd", fmt.Sprintf("@echo off\r\nfor %%%%c in (%s) do (\r\n%s\\keepersudo.exe --root %s cmd /c exit %%%%c <nul\r\ncall echo %%%%c is %%%%errorlevel%%%%.\r\n)\r\n",
			strings.Join(codes, " "), inside, inside), 0o644)
		_, out := a.run(system+"cmd.exe", "/c", `C:\Shared\codes.cmd`)
		for _, code := range codes {
			if want := code + " is " + code + "."; !strings.Contains(out, want) {
				t.Errorf("expected %q in %s", want, out)
			}
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		source := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(source, []byte(interrupterSource), 0o600); err != nil {
			t.Fatal(err)
		}
		build(t, "build", "-ldflags", "-s -w", "-o", filepath.Join(filepath.Dir(a.root), "Tools", "interrupter.exe"), source)
		screen, err := terminal.Open(0, 30, 100)
		if err != nil {
			t.Fatal(err)
		}
		defer screen.Close()
		cmd := a.Command(a.ctx, `C:\Tools\interrupter.exe`, inside+`\keepersudo.exe`, "--root", inside, tool, "0")
		screen.Attach(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := screen.Expect("it ended with 130", patience); err != nil {
			t.Errorf("%v; the screen shows %q", err, screen.Output())
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Errorf("it does not end; the screen shows %q", screen.Output())
		}
	})
}
