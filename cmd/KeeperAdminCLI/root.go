package main

import (
	"fmt"
	"os"
	"path/filepath"

	"kpm/settings"
)

// options are the flags that every command has.
type options struct{ root string }

// layout finds the agent root (decision 4). A root that somebody else could
// put in its place is refused: what lies there is trusted.
func (o *options) layout() (settings.Layout, error) {
	root := o.root
	// Attack: sudo keeps a user's KEEPER_AGENT_ROOT, and root reads, or obeys,
	// what that user made.
	if variable := os.Getenv("KEEPER_AGENT_ROOT"); root == "" && os.Geteuid() != 0 {
		root = variable
	}
	if root == "" {
		root = settings.DefaultRoot()
	}
	path, err := filepath.Abs(root)
	if err != nil {
		return settings.Layout{}, fmt.Errorf("agent root %s: %w", root, err)
	}
	if err := protectedRoot(path); err != nil {
		return settings.Layout{}, fmt.Errorf("agent root %s cannot be trusted, name another with --root: %w", path, err)
	}
	return settings.At(path, ""), nil
}
