package service

import (
	"fmt"
	"path/filepath"
)

// ResolveRoot returns the agent root at dir as Options.Root wants it, absolute
// and without links: what is checked is what is used. The error is for whoever
// starts the service.
func ResolveRoot(dir string) (string, error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return "", fmt.Errorf("agent root: %w; install the agent there or name another with --root", err)
	}
	return root, nil
}
