package platform_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Where a port is not made it must say so, and must not identify anybody, call
// anything safe or start anything.
func TestPortsThatAreNotThere(t *testing.T) {
	h := none.Host(port.Facts{})
	ctx, id := context.Background(), h.Tree.Self()
	answers := map[string]error{
		"Protected":     h.Files.Protected(nil),
		"ProtectedRoot": h.Files.ProtectedRoot("/"),
		"Private":       h.Files.Private(nil),
		"WriteAtomic":   h.Files.WriteAtomic("x", nil, 0o600),
		"Replace":       h.Files.Replace("x", nil, 0o600),
		"Enable":        h.Interception.Enable(ctx, "sudo"),
		"Disable":       h.Interception.Disable(ctx, "sudo"),
	}
	_, answers["Find"] = h.Files.Find("true")
	_, answers["Locate"] = h.Files.Locate("/")
	_, answers["LocateProtected"] = h.Files.LocateProtected("/")
	_, answers["ReadProtected"] = h.Files.ReadProtected("/etc/passwd", 1<<20)
	_, answers["Inspect"] = h.Files.Inspect(nil)
	_, answers["Control.Status"] = h.Control.Status(ctx)
	answers["Control.Install"], answers["Control.Uninstall"] = h.Control.Install(ctx, "/"), h.Control.Uninstall(ctx)
	answers["Control.Start"], answers["Control.Stop"] = h.Control.Start(ctx), h.Control.Stop(ctx)
	_, answers["Files.Open"] = h.Files.Open(nil)
	_, answers["Lock"] = h.Files.Lock("x")
	_, _, answers["Copy"] = h.Files.Copy(ctx, nil, "/", "x", core.Account{}, nil)
	_, answers["Confine"] = h.Confiner.Start(ctx)
	_, answers["Prepare"] = h.Launcher.Prepare(ctx, port.LaunchSpec{})
	_, answers["Occupied"] = h.Tree.Occupied(nil)
	_, answers["KillGroups"] = h.Tree.KillGroups(port.Group{Root: id})
	_, answers["Terminals.Open"] = h.Terminals.Open(core.Identity{})
	_, answers["ListenDoor"] = h.Transport.ListenDoor("x")
	_, answers["ListenLocal"] = h.Transport.ListenLocal("x")
	_, answers["Dial"] = h.Transport.Dial("x")
	_, answers["User"] = h.Peers.User(nil)
	_, answers["Peer"] = h.Peers.Peer(nil)
	_, answers["Program"] = h.Peers.Program(id)
	_, _, answers["Listener"] = h.Peers.Listener(80)
	_, answers["Sessions.List"] = h.Sessions.List(ctx)
	_, answers["Sessions.Of"] = h.Sessions.Of(id)
	_, answers["OpenTPM"] = h.Keys.OpenTPM("")
	_, _, answers["Certificate"] = h.Certificates.Certificate("00")
	_, answers["Node"] = h.Signatures.Node(nil)
	_, answers["Ancestors"] = h.Ancestry.Ancestors(id)
	_, _, answers["Clock"] = h.Clock.Now()
	answers["Elevations.Watch"] = h.Elevations.Watch(ctx, nil)
	answers["Executions.Ready"] = h.Executions.Ready()
	_, answers["Executions.Start"] = h.Executions.Start()
	answers["Authenticate"] = h.Authenticator.Authenticate(ctx, core.Account{}, nil)
	_, answers["AccessLists.Open"] = h.AccessLists.Open("/")
	_, answers["AccessLists.Reopen"] = h.AccessLists.Reopen(core.FileRef{})
	_, answers["AccessLists.Below"] = h.AccessLists.Below("/", 1)
	_, answers["AccessLists.With"] = h.AccessLists.With(nil, "1000", core.Denied)
	_, answers["AccessLists.Without"] = h.AccessLists.Without(nil, nil, "1000")
	_, answers["AccessLists.People"] = h.AccessLists.People()
	_, answers["ByID"] = h.Accounts.ByID("0")
	_, answers["ByName"] = h.Accounts.ByName("root")
	_, answers["Members"] = h.Membership.Members(ctx, "sudo")
	answers["Membership.Set"] = h.Membership.Set(ctx, "sudo", core.Account{}, true)
	_, answers["Spare"] = h.Membership.Spare()
	_, answers["Transient.Create"] = h.Transient.Create(ctx, 1, nil)
	answers["Transient.Remove"] = h.Transient.Remove(ctx, 1)
	_, answers["Transient.Used"] = h.Transient.Used(1)
	_, answers["Transient.Numbers"] = h.Transient.Numbers()
	answers["Alarms.Set"], answers["Alarms.Clear"] = h.Alarms.Set(ctx, "a", 1, nil), h.Alarms.Clear(ctx, "a")
	for name, err := range answers {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s answers %v, expected ErrUnsupported", name, err)
		}
	}
	if h.Tree.Alive(id) || h.Tree.Which(id, []port.Group{{Root: id}}) >= 0 || !h.Tree.Empty(id, "") || h.Terminals.IsTerminal(nil) {
		t.Error("something is said to be there")
	}
	if _, err := h.Signatures.Verdict(ctx, nil); !errors.Is(err, port.ErrNoAttribute) {
		t.Errorf("a verdict: %v", err)
	}
	if err := errors.Join(h.Service.Ready(), h.Service.Stopping(), h.Close()); err != nil {
		t.Error(err)
	}
}

// ports returns, for each interface of core/port that a Host has, the name of
// the file that declares it.
func ports(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob("../core/port/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		for name := range types(t, path) {
			found[name] = filepath.Base(path)
		}
	}
	return found
}

// types returns the types that a file declares.
func types(t *testing.T, path string) map[string]ast.Expr {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]ast.Expr{}
	for _, d := range file.Decls {
		if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.TYPE {
			for _, s := range d.Specs {
				found[s.(*ast.TypeSpec).Name.Name] = s.(*ast.TypeSpec).Type
			}
		}
	}
	return found
}

// A reviewer lays the folders of two systems side by side: what makes a port real
// is declared in a file of the port's own file name, in every system.
func TestPlatformsHaveTheFileNamesOfTheirPorts(t *testing.T) {
	names := ports(t)
	guard := "_ port."
	for _, system := range []string{"none", "fake", "linux", "windows", "darwin"} {
		files, err := filepath.Glob(system + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", system, files, err)
		}
		seen := 0
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				_, rest, guarded := strings.Cut(line, guard)
				name, _, _ := strings.Cut(rest, " ")
				if want, isPort := names[name]; guarded && isPort {
					seen++
					if want != filepath.Base(path) && name != "Held" && name != "Process" && name != "DoorConn" && name != "TPM" && name != "Confined" && name != "Confinement" {
						t.Errorf("%s: port.%s is made in %s, expected %s", system, name, filepath.Base(path), want)
					}
				}
			}
		}
		if system == "none" && seen != 24 {
			t.Errorf("none makes %d ports, a Host has 24", seen)
		}
		if seen < 2 {
			t.Errorf("%s: only %d ports have a guard such as \"var _ port.Files = Files{}\"", system, seen)
		}
	}
}

// A reviewer is told what each file of a system's folder is for.
func TestTheManualHasEveryFile(t *testing.T) {
	for folder, page := range map[string]string{"linux": "launcher-linux.md", "windows": "launcher-windows.md", "darwin": "launcher-macos.md"} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := entry.Name()
			if strings.HasSuffix(name, "_test.go") || name == "doc.go" || name == "testdata" {
				continue
			}
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+"/") {
				t.Errorf("docs/%s: no row says what %s/%s is for", page, folder, name)
			}
		}
	}
}

// What each system makes of a port, and why it does not, is in the manual.
func TestTheManualHasEveryPort(t *testing.T) {
	page, err := os.ReadFile("../docs/platforms.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) == 4 {
			name, _, _ := strings.Cut(strings.TrimPrefix(cells[0], "| "), " ")
			rows[name] = cells
		}
	}
	host, ok := types(t, "../core/port/host.go")["Host"].(*ast.StructType)
	if !ok {
		t.Fatal("there is no type Host")
	}
	declared := ports(t)
	for _, f := range host.Fields.List {
		name, is := f.Type.(*ast.Ident)
		if !is || name.Name == "Facts" { // Close
			continue
		}
		cells := rows["`"+name.Name+"`"]
		if cells == nil {
			t.Errorf("docs/platforms.md: no row for %s", name.Name)
			continue
		}
		if !strings.Contains(cells[0], declared[name.Name]) {
			t.Errorf("docs/platforms.md: %s is declared in %s", name.Name, declared[name.Name])
		}
		for i, cell := range cells[1:] {
			if strings.Trim(cell, " |") == "unsupported" {
				t.Errorf("docs/platforms.md: %s: %s: say why it is unsupported", name.Name, []string{"Linux", "Windows", "macOS"}[i])
			}
		}
	}
}
