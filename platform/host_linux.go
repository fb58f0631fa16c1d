//go:build linux

package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/linux"
)

// New returns this machine's ports. It starts the spare held children.
func New(o Options) (Host, error) {
	if uid := os.Geteuid(); uid != 0 {
		return Host{}, fmt.Errorf("platform: this runs as uid %d, and only root can take other users' identities; let the machine's service manager start it, or use sudo", uid)
	}
	peers, err := linux.NewPeers()
	if err != nil {
		return Host{}, err
	}
	if o.CgroupParent == "" {
		o.CgroupParent = linux.DetectCgroup()
	}
	launcher, err := linux.NewLauncher(o.Helper, o.Spare, o.CgroupParent)
	if err != nil {
		return Host{}, errors.Join(err, peers.Close())
	}
	confiner := linux.NewConfiner(o.Reader)
	files := linux.Files{}
	if o.AgentRoot != "" {
		files.AgentRoot = filepath.Clean(o.AgentRoot)
	}
	return Host{
		Name: "Linux",
		Signals: []int{
			int(unix.SIGHUP), int(unix.SIGINT), int(unix.SIGQUIT), int(unix.SIGTERM), int(unix.SIGUSR1),
			int(unix.SIGUSR2), int(unix.SIGALRM), int(unix.SIGCONT), int(unix.SIGWINCH),
		},
		Files:         files,
		Launcher:      launcher,
		Tree:          linux.NewTree(),
		Terminals:     linux.Terminals{},
		Transport:     linux.Transport{},
		Accounts:      linux.Accounts{},
		Peers:         peers,
		Programs:      linux.Programs{},
		System:        linux.System{},
		Confiner:      confiner,
		Store:         linux.Store{},
		ProtectedRoot: files.ProtectedRoot,
		Private:       linux.Private,
		Lock:          linux.Lock,
		PortOwner:     linux.PortOwner,
		Close:         func() error { return errors.Join(confiner.Close(), launcher.Close(), peers.Close()) },
	}, nil
}

// Inspector returns the two ports that looking at a file needs, and starts
// nothing.
func Inspector(agentRoot string) (port.Files, port.SystemSignatures, error) {
	return linux.Files{AgentRoot: agentRoot}, linux.System{}, nil
}

// Confiner returns what starts program confined, for who has no Host, and what
// ends it.
func Confiner(program string) (port.Confiner, func() error, error) {
	confiner := linux.NewConfiner(program)
	return confiner, confiner.Close, nil
}
