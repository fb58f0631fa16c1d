//go:build linux

package wine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// agent is an agent root on drive C of a machine.
type agent struct {
	*Machine
	t    *testing.T
	ctx  context.Context
	root string // as the host sees it
}

const (
	inside = `C:\KPM` // root, as Windows sees it
	system = `C:\windows\system32\`
	tool   = `C:\Tools\tool.exe`
)

// policies let everybody run two programs, of which one lies where everybody can
// change it.
const policies = `{
  "PolicyId": "tools", "PolicyName": "Anyone may use the tools", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["C:\\Tools\\*", "C:\\Shared\\*", "C:\\windows\\system32\\cmd.exe"]
}`

// filePolicy keeps everybody from what lies in a folder.
const filePolicy = `{
  "PolicyId": "payroll", "PolicyName": "Nobody reads the payroll", "PolicyType": "FileAccess", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["DENY"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "Extension": {"Folders": ["C:\\Payroll"]}
}`

// toolSource is a program that says who it is to standard error, copies its input to
// its output, and ends with the status that it is told; or runs another one.
const toolSource = `package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

func main() {
	if os.Args[1] == "run" {
		cmd := exec.Command(os.Args[2], os.Args[3:]...)
		cmd.Stderr = os.Stderr
		cmd.Run()
		os.Exit(cmd.ProcessState.ExitCode())
	}
	path, _ := os.Executable()
	dir, _ := os.Getwd()
	fmt.Fprintf(os.Stderr, "%q in %s as %s for %s\n", os.Args[1:], dir, path, os.Getenv("SUDO_USER"))
	io.Copy(os.Stdout, os.Stdin)
	status, _ := strconv.Atoi(os.Args[1])
	os.Exit(status)
}
`

// The whole service under the service control manager: door, broker, KeeperPolicy,
// launch job, API and journal, on Windows' own ports.
func TestElevationsOnWindows(t *testing.T) {
	a := install(t)
	a.write("KPM/Policies/files.json", filePolicy, 0o644)
	a.folder(filepath.Join(filepath.Dir(a.root), "Payroll", "2026"), 0o755)
	a.write("Payroll/2026/May.txt", "secret", 0o644)
	a.must(inside+`\KeeperPrivilegeManager.exe`, "install", "--root", inside)
	a.boot()

	t.Run("exit code", func(t *testing.T) {
		status, out, said := a.sudo(nil, "cmd", "/c", "exit", "7")
		if status != 7 || len(out)+len(said) != 0 {
			t.Errorf("exit code %d, %q, %q", status, out, said)
		}
		records, types := a.last()
		// The host of the hidden console may be there a little longer.
		if strings.TrimSuffix(types, " left") != "opened evaluating allowed launching launched ended" {
			t.Fatalf("recorded: %s", types)
		}
		opened, launched, ended := records[0], records[4], records[5]
		if !strings.HasPrefix(opened.UserID, "S-1-5-21-") || opened.TargetID != "S-1-5-32-544" ||
			!strings.EqualFold(opened.Program.Path, system+"cmd.exe") || !opened.Program.Protected {
			t.Errorf("opened: %+v", opened)
		}
		if launched.Child == nil || !strings.HasPrefix(launched.Child.Group, `job:Global\kpm-`) || ended.Exit == nil || ended.Exit.Code != 7 {
			t.Errorf("launched %+v, ended %+v", launched, ended)
		}
	})
	t.Run("pipes, byte for byte", func(t *testing.T) {
		input := make([]byte, 0, 1<<20)
		for i := range cap(input) {
			input = append(input, byte(i*7+i>>8))
		}
		argv := []string{"0", "", "a b", `"q"`, `back\`, "ä€😀", "%PATH%", "^&|<>"}
		status, out, said := a.sudo(input, append([]string{tool}, argv...)...)
		if status != 0 || !bytes.Equal(out, input) {
			t.Errorf("exit code %d, %d bytes came back of %d", status, len(out), len(input))
		}
		if want := `["0" "" "a b" "\"q\"" "back\\" "ä€😀" "%PATH%" "^&|<>"] in Z:\ as ` + tool + " for "; !strings.HasPrefix(string(said), want) {
			t.Errorf("it saw %s, expected %s", said, want)
		}
	})
	t.Run("a program that everybody can change", func(t *testing.T) {
		status, _, said := a.sudo(nil, `C:\Shared\tool.exe`, "3")
		if status != 3 || !strings.Contains(string(said), inside+`\run\exec\`) {
			t.Errorf("exit code %d, %s", status, said)
		}
		if records, _ := a.last(); records[0].Program.Protected {
			t.Errorf("opened: %+v", records[0])
		}
		if left, err := os.ReadDir(filepath.Join(a.root, "run", "exec")); err != nil || len(left) != 0 {
			t.Errorf("its copy is still there: %v, %v", left, err)
		}
	})
	t.Run("a coding agent", func(t *testing.T) {
		program, err := os.ReadFile(filepath.Join(filepath.Dir(a.root), "Tools", "tool.exe"))
		if err != nil {
			t.Fatal(err)
		}
		a.write("Shared/Claude.exe", string(program), 0o777)
		if status, out := a.run(`C:\Shared\Claude.exe`, "run", inside+`\keepersudo.exe`, "--root", inside, "cmd", "/c", "exit", "4"); status != 4 {
			t.Errorf("exit code %d, %s", status, out)
		}
		if records, types := a.last(); records[0].Origin == nil || records[0].Origin.By != "agent" || records[0].Origin.Agent != "claude" {
			t.Errorf("recorded: %s, from %+v", types, records[0].Origin)
		}
	})
	t.Run("denied", func(t *testing.T) {
		status, out, said := a.sudo(nil, "reg", "query", "HKLM")
		if status != 1 || len(out) != 0 || !strings.HasPrefix(string(said), "keepersudo: ") {
			t.Errorf("exit code %d, %q, %q", status, out, said)
		}
		if _, types := a.last(); types != "opened evaluating denied" {
			t.Errorf("recorded: %s", types)
		}
	})
	t.Run("no such program", func(t *testing.T) {
		for _, name := range []string{"nothing-of-this-name", `C:\nothing.exe`} {
			if status, _, said := a.sudo(nil, name); status != 127 {
				t.Errorf("%s: exit code %d, %s", name, status, said)
			}
		}
	})
	t.Run("no program", func(t *testing.T) {
		for _, name := range []string{`C:\Tools`, inside + `\appsettings.json`, "NUL", `C:\Tools\tool.exe:stream`} {
			if status, _, said := a.sudo(nil, name); status == 0 || len(said) == 0 {
				t.Errorf("%s: exit code %d, %s", name, status, said)
			}
		}
	})
	t.Run("Run with Keeper, by a link with arguments", func(t *testing.T) {
		// Who wrote the link is Wine's own shell.
		a.write("Shared/link.vbs", `Set link = CreateObject("WScript.Shell").CreateShortcut("C:\Shared\Tool.lnk")
link.TargetPath = "C:\Tools\tool.exe"
link.Arguments = "6 ""a b"""
link.WorkingDirectory = "C:\Tools"
link.Save
`, 0o644)
		a.must(system+"cscript.exe", "/nologo", `C:\Shared\link.vbs`)
		status, out := a.run(inside+`\KeeperRunAs.exe`, "--root", inside, `C:\Shared\Tool.lnk`, "last")
		if want := `["6" "a b" "last"] in C:\Tools as `; status != 6 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %s; want 6 and %s", status, out, want)
		}
		records, types := a.last()
		if !strings.EqualFold(records[0].Program.Path, tool) {
			t.Errorf("recorded: %s, %+v", types, records[0])
		}
	})
	t.Run("files that policy keeps people from", func(t *testing.T) {
		// All files are the one user's that Wine has, and no list keeps anybody from
		// their own: that is what is said of the file that was found.
		want := []string{`c:\\payroll\\2026\\May.txt`, "it belongs to user S-1-5-21-"} // folders as policies are compared
		for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			segments, err := filepath.Glob(filepath.Join(a.root, "Audit", "*.jsonl"))
			if err != nil || len(segments) == 0 {
				t.Fatalf("no journal: %v", err)
			}
			data, err := os.ReadFile(segments[len(segments)-1])
			if strings.Contains(string(data), want[0]) && strings.Contains(string(data), want[1]) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("expected %q in %s, %v", want, data, err)
			}
		}
	})
	t.Run("KeeperLogger writes what the others say", func(t *testing.T) {
		log := filepath.Join(a.root, "Plugins", "bin", "KeeperLogger", "Log", "KeeperLogger.log")
		for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			data, err := os.ReadFile(log)
			if bytes.Contains(data, []byte("KeeperPolicy")) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%q, %v", data, err)
			}
		}
	})
	t.Run("API", func(t *testing.T) {
		if out := a.must(inside+`\KeeperAdminCLI.exe`, "--root", inside, "status"); !strings.HasPrefix(out, "running") {
			t.Error(out)
		}
	})
	t.Run("stop", func(t *testing.T) {
		a.hold()
		a.must(system+"sc.exe", "stop", "KeeperPrivilegeManager")
		a.stopped()
		if status, _, said := a.sudo(nil, "cmd", "/c", "exit"); status != 1 || !strings.Contains(string(said), "the service does not run") {
			t.Errorf("without the service: exit code %d, %s", status, said)
		}
		a.verify()
	})
	t.Run("boot again, and uninstall", func(t *testing.T) {
		a.boot()
		if status, _, said := a.sudo(nil, "cmd", "/c", "exit", "5"); status != 5 {
			t.Errorf("exit code %d, %s", status, said)
		}
		a.must(inside+`\KeeperPrivilegeManager.exe`, "uninstall", "--root", inside)
		a.stopped()
		if status, out := a.run(system+"sc.exe", "query", "KeeperPrivilegeManager"); status == 0 {
			t.Errorf("it is still registered: %s", out)
		}
	})
}
