//go:build darwin

package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kpm/core/port"
	"kpm/platform/darwin"
	"kpm/platform/darwin/file"
	"kpm/platform/none"
)

// Tools returns the ports that start nothing by themselves, for programs that an
// administrator runs. agentRoot may be empty.
func Tools(agentRoot string) port.Host {
	return tools(agentRoot, darwin.NewConfiner(filepath.Join(agentRoot, "keeperreader"), agentRoot))
}

func filesOf(agentRoot string) file.Files {
	files := file.Files{}
	if agentRoot != "" {
		files.AgentRoot = filepath.Clean(agentRoot)
	}
	return files
}

func tools(agentRoot string, confiner *darwin.Confiner) port.Host {
	files := filesOf(agentRoot)
	host := none.Host(darwin.Facts())
	host.AccessLists = darwin.AccessLists{Files: files}
	host.Accounts = darwin.Accounts{}
	host.Alarms = darwin.NewAlarms(filepath.Join(files.AgentRoot, "run", "alarms"))
	host.Ancestry = darwin.NewAncestry()
	host.Certificates = darwin.CertificateStore{}
	host.Clock = darwin.Clock{}
	host.Close = confiner.Close
	host.Confiner = confiner
	host.Control = darwin.ServiceControl{}
	host.Files = darwin.Files{Files: files}
	host.Interception = darwin.Interception{AgentRoot: files.AgentRoot}
	host.Membership = darwin.Membership{}
	host.Transient = darwin.TransientAccounts{Homes: filepath.Join(files.AgentRoot, "run", "homes")}
	host.Keys = darwin.KeyStore{}
	host.Service = darwin.ServiceManager{}
	host.Sessions = darwin.Sessions{}
	host.Signatures = darwin.Signatures{}
	host.Terminals = darwin.Terminals{}
	host.Transport = darwin.Transport{}
	host.Tree = darwin.NewTree()
	return host
}

// Prepare reports nil when this process may be a service, and returns the port
// that needs none of the others.
func Prepare(agentRoot string) (port.Files, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("platform: this runs as uid %d, and only root can take other users' identities; let launchd start it, or use sudo", uid)
	}
	return darwin.Files{Files: filesOf(agentRoot)}, nil
}

// New returns the ports of a machine that is Prepared. It starts the spare held
// children.
func New(o Options) (port.Host, error) {
	accounts := darwin.NewAccounts()
	peers, err := darwin.NewPeers(accounts)
	if err != nil {
		return port.Host{}, err
	}
	launcher, err := darwin.NewLauncher(o.Helper, o.AgentRoot, o.Spare)
	if err != nil {
		return port.Host{}, err
	}
	if o.Reader == "" {
		o.Reader = filepath.Join(o.AgentRoot, "keeperreader")
	}
	confiner := darwin.NewConfiner(o.Reader, o.AgentRoot)
	host := tools(o.AgentRoot, confiner)
	host.AccessLists = darwin.AccessLists{Files: filesOf(o.AgentRoot), Accounts: accounts}
	host.Accounts = accounts
	host.Membership = darwin.Membership{Accounts: accounts}
	host.Transient = darwin.TransientAccounts{Homes: filepath.Join(o.AgentRoot, "run", "homes"), Accounts: accounts}
	pam := darwin.NewPAM(filepath.Join(o.AgentRoot, "keeperpam"), o.AgentRoot)
	if err := pam.Missing(); err != nil {
		host.Facts.Notes = append(host.Facts.Notes, "nobody is asked again who they are: "+err.Error())
	}
	host.Authenticator = pam
	host.Transport = darwin.Transport{Accounts: accounts}
	host.Peers = peers
	host.Launcher = launcher
	host.Close = func() error { return errors.Join(confiner.Close(), launcher.Close(), pam.Close()) }
	return host, nil
}
