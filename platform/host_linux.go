//go:build linux

package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kpm/core/port"
	"kpm/platform/linux"
	"kpm/platform/none"
	"kpm/platform/unix/pam"
)

// Tools returns the ports that start nothing by themselves, for programs that an
// administrator runs. agentRoot may be empty.
func Tools(agentRoot string) port.Host {
	return tools(agentRoot, linux.NewConfiner(filepath.Join(agentRoot, "keeperreader")), linux.NewTree())
}

func filesOf(agentRoot string) linux.Files {
	files := linux.Files{}
	if agentRoot != "" {
		files.AgentRoot = filepath.Clean(agentRoot)
	}
	return files
}

func tools(agentRoot string, confiner *linux.Confiner, tree port.ProcessTree) port.Host {
	files := filesOf(agentRoot)
	facts := linux.Facts()
	host := none.Host(facts)
	host.Confiner = confiner
	host.Close = confiner.Close
	host.Control = linux.ServiceControl{}
	accounts := linux.LocalAccounts()
	host.AccessLists = linux.AccessLists{Files: files.Files, Accounts: accounts}
	host.Accounts = accounts
	host.Ancestry = linux.NewAncestry()
	host.Clock = linux.Clock{}
	host.Files = files
	host.Executions = linux.ExecutionControl{AgentRoot: files.AgentRoot}
	host.Interception = linux.Interception{AgentRoot: files.AgentRoot}
	host.Keys = linux.KeyStore{}
	host.Membership = linux.Membership{Accounts: linux.LocalAccounts()}
	host.Transient = linux.TransientAccounts{Homes: filepath.Join(files.AgentRoot, "run", "homes"), Accounts: linux.LocalAccounts()}
	host.Alarms = linux.Alarms{}
	host.Service = linux.ServiceManager{}
	host.Sessions = linux.NewSessions(accounts)
	host.Signatures = linux.Signatures{}
	host.Terminals = linux.Terminals{}
	host.Transport = linux.Transport{}
	host.Tree = tree
	return host
}

// Prepare reports nil when this process may be a service, and returns the port
// that needs none of the others.
func Prepare(agentRoot string) (port.Files, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("platform: this runs as uid %d, and only root can take other users' identities; let the machine's service manager start it, or use sudo", uid)
	}
	return filesOf(agentRoot), nil
}

// New returns the ports of a machine that is Prepared. It starts the spare held
// children.
func New(o Options) (port.Host, error) {
	accounts := linux.NewAccounts()
	peers, err := linux.NewPeers(accounts)
	if err != nil {
		return port.Host{}, err
	}
	var noCgroup error
	if o.CgroupParent == "" {
		o.CgroupParent, noCgroup = linux.DetectCgroup()
	}
	launcher, err := linux.NewLauncher(o.Helper, o.Spare, o.CgroupParent, o.Ends)
	if err != nil {
		return port.Host{}, errors.Join(err, peers.Close())
	}
	if o.Reader == "" {
		o.Reader = filepath.Join(o.AgentRoot, "keeperreader")
	}
	confiner := linux.NewConfiner(o.Reader)
	host := tools(o.AgentRoot, confiner, launcher.Tree())
	host.Accounts = accounts
	host.Membership = linux.Membership{Accounts: accounts}
	if noCgroup != nil {
		host.Facts.Notes = append(host.Facts.Notes, "what a command leaves running in a session and with an environment of its own is not ended with it: "+noCgroup.Error())
	}
	asks := linux.NewPAM(filepath.Join(o.AgentRoot, "keeperpam"))
	switch err := asks.Missing(); {
	case errors.Is(err, fs.ErrNotExist):
		host.Facts.Notes = append(host.Facts.Notes, "programs in people's sessions have no PAM session, and nobody is asked again who they are: "+err.Error())
	case errors.Is(err, pam.ErrAsksNobody):
		host.Facts.Notes = append(host.Facts.Notes, "nobody can be asked again who they are: "+err.Error())
	case err != nil:
		host.Facts.Notes = append(host.Facts.Notes, "programs in people's sessions are not started, and nobody can be asked again who they are: "+err.Error())
	}
	host.Authenticator = asks
	host.Transport = linux.Transport{Accounts: accounts}
	host.Peers = peers
	host.Sessions = linux.NewSessions(accounts)
	host.Launcher = linux.NewSessionLauncher(launcher, linux.NewSessions(accounts), asks)
	host.Close = func() error { return errors.Join(confiner.Close(), launcher.Close(), asks.Close(), peers.Close()) }
	return host, nil
}
