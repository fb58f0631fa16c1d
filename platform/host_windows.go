//go:build windows

package platform

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"kpm/core/port"
	"kpm/platform/none"
	"kpm/platform/windows"
)

// Tools returns the ports that start nothing by themselves, for programs that an
// administrator runs.
func Tools(agentRoot string) port.Host {
	return tools(agentRoot, windows.NewConfiner(filepath.Join(agentRoot, readerName)))
}

// readerName is what reads files that users chose, in the agent root.
const readerName = "keeperreader.exe"

func tools(agentRoot string, confiner *windows.Confiner) port.Host {
	host := none.Host(windows.Facts())
	host.Confiner = confiner
	host.Close = confiner.Close
	host.AccessLists = windows.AccessLists{}
	host.Accounts = windows.Accounts{}
	host.Alarms = windows.Alarms{Folder: filepath.Join(agentRoot, "State")}
	host.Certificates = windows.CertificateStore{}
	host.Clock = windows.Clock{}
	host.Control = windows.ServiceControl{}
	host.Elevations = windows.Elevations{}
	host.Files = windows.Files{}
	host.Interception = windows.Interception{}
	host.Keys = windows.KeyStore{}
	host.Membership = windows.Membership{}
	host.Transient = windows.TransientAccounts{}
	host.Sessions = windows.Sessions{}
	host.Signatures = windows.Signatures{}
	host.Terminals = windows.Terminals{}
	host.Transport = windows.Transport{}
	host.Tree = windows.NewTree()
	return host
}

// Prepare reports nil when this process may be the service of the agent root, makes
// the folders there that only it may enter, and returns the port that needs none of
// the others. Those folders come before anything is kept in them.
func Prepare(agentRoot string) (port.Files, error) {
	if !(windows.Accounts{}).Administrator() {
		return nil, fmt.Errorf("platform: this does not run as an administrator, and only LocalSystem can take other users' identities; let the service control manager start it: KeeperPrivilegeManager install")
	}
	files := windows.Files{}
	if err := files.ProtectedRoot(agentRoot); err != nil {
		return nil, fmt.Errorf("platform: agent root: %w", err)
	}
	if err := windows.SecureFolders(agentRoot, "State", "Audit"); err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	return files, nil
}

// New returns the ports of a machine that is Prepared. It starts the spare held
// children.
func New(o Options) (port.Host, error) {
	if o.Reader == "" {
		o.Reader = filepath.Join(o.AgentRoot, readerName)
	}
	confiner := windows.NewConfiner(o.Reader)
	host := tools(o.AgentRoot, confiner)
	launcher, err := windows.NewLauncher(o.Helper, o.Spare)
	if err != nil {
		return port.Host{}, err
	}
	if err := launcher.UseAccounts(context.Background(), host.Transient); err != nil {
		host.Facts.Notes = append(host.Facts.Notes, "people for whom Windows has no elevated token are not elevated: "+err.Error())
	}
	host.Ancestry = windows.NewAncestry()
	host.Authenticator = windows.Authenticator{}
	host.Peers = windows.Peers{}
	host.Launcher = launcher
	host.Close = func() error { return errors.Join(confiner.Close(), launcher.Close()) }
	return host, nil
}
