package platform_test

import (
	"context"
	"errors"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform"
	"kpm/platform/darwin"
	"kpm/platform/windows"
)

// Where a port is not made yet it must say so, and must not identify, vouch for
// or start anything.
func TestPortsThatAreNotMadeYet(t *testing.T) {
	for name, h := range map[string]platform.Host{
		"windows": {
			Files: windows.Files{}, Launcher: windows.Launcher{}, Tree: windows.Tree{}, Terminals: windows.Terminals{},
			Transport: windows.Transport{}, Accounts: windows.Accounts{}, Peers: windows.Peers{}, ProtectedRoot: windows.Files{}.ProtectedRoot,
			Programs: windows.Programs{}, Store: windows.Store{}, Private: windows.Private, Confiner: windows.Confiner{},
		},
		"darwin": {
			Files: darwin.Files{}, Launcher: darwin.Launcher{}, Tree: darwin.Tree{}, Terminals: darwin.Terminals{},
			Transport: darwin.Transport{}, Accounts: darwin.Accounts{}, Peers: darwin.Peers{}, ProtectedRoot: darwin.Files{}.ProtectedRoot,
			Programs: darwin.Programs{}, Store: darwin.Store{}, Private: darwin.Private, Confiner: darwin.Confiner{},
		},
	} {
		ctx, id := context.Background(), h.Tree.Self()
		answers := map[string]error{
			"Protected":     h.Files.Protected(nil),
			"ProtectedRoot": h.ProtectedRoot("/"),
			"Private":       h.Private(nil),
			"WriteAtomic":   h.Files.WriteAtomic("x", nil, 0o600),
		}
		_, answers["Find"] = h.Files.Find("true")
		_, answers["Locate"] = h.Files.Locate("/")
		_, answers["LocateProtected"] = h.Files.LocateProtected("/")
		_, answers["Inspect"] = h.Files.Inspect(nil)
		_, answers["Files.Open"] = h.Files.Open(nil)
		_, _, answers["Copy"] = h.Files.Copy(ctx, nil, "/", "x", core.Account{})
		_, answers["Prepare"] = h.Launcher.Prepare(ctx, port.LaunchSpec{})
		_, answers["KillGroup"] = h.Tree.KillGroup(id, "")
		_, _, answers["Terminals.Open"] = h.Terminals.Open(core.Account{}, 0, 0)
		_, answers["ListenDoor"] = h.Transport.ListenDoor("x")
		_, answers["ListenLocal"] = h.Transport.ListenLocal("x")
		_, answers["Peer"] = h.Peers.Peer(nil)
		_, answers["Program"] = h.Programs.Program(id)
		_, _, answers["Certificate"] = h.Store.Certificate("00")
		_, answers["Confiner.Start"] = h.Confiner.Start(ctx)
		_, answers["ByID"] = h.Accounts.ByID("0")
		_, answers["ByName"] = h.Accounts.ByName("root")
		for port, err := range answers {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %s answers %v, expected ErrUnsupported", name, port, err)
			}
		}
		if h.Tree.Alive(id) || h.Tree.Member(id, "", id) || !h.Tree.Empty(id, "") || h.Terminals.IsTerminal(nil) {
			t.Errorf("%s: something is said to be there", name)
		}
	}
}
