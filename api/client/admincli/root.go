package admincli

import (
	"fmt"
	"os"
	"path/filepath"

	"kpm/settings"
)

// agent is what every command is about.
type agent struct {
	Config
	root string // --root
}

// layout finds the agent root (decision 4). A root that somebody else could
// put in its place is refused: what lies there is trusted. Where there is none the error
// wraps fs.ErrNotExist, and the layout says where it would be.
func (a *agent) layout() (settings.Layout, error) {
	host, root := a.Host(""), a.root
	// Attack: sudo keeps a user's KEEPER_AGENT_ROOT, and root reads, or obeys,
	// what that user made.
	if variable := os.Getenv("KEEPER_AGENT_ROOT"); root == "" && !host.Accounts.Administrator() {
		root = variable
	}
	if root == "" && a.isAgent(filepath.Dir(a.Program)) {
		root = filepath.Dir(a.Program)
	}
	if root == "" {
		root = host.Facts.Platform.DefaultRoot()
	}
	path, err := filepath.Abs(root)
	if err != nil {
		return settings.Layout{}, fmt.Errorf("agent root %s: %w", root, err)
	}
	if err := host.Files.ProtectedRoot(path); err != nil {
		return settings.At(path, ""), fmt.Errorf("agent root %s cannot be trusted, name another with --root: %w", path, err)
	}
	return settings.At(path, ""), nil
}

// isAgent reports whether dir is the root of an agent: the service's program lies
// in it.
func (a *agent) isAgent(dir string) bool {
	if a.Program == "" {
		return false
	}
	info, err := os.Stat(filepath.Join(dir, "KeeperPrivilegeManager"+a.Host("").Facts.Platform.ProgramSuffix()))
	return err == nil && info.Mode().IsRegular()
}
