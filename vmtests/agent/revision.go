//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// StagedVariable names the staged agent that tests drive instead of this
// tree's. `make fails-on` sets it.
const StagedVariable = "KPM_STAGED_AGENT"

// Staged is where the executables lie that tests drive: what `make stage` of
// this tree has built, or what `make fails-on` names. Tests ask here and
// nowhere else. It fails if nothing was staged.
func Staged() (string, error) {
	dir := os.Getenv(StagedVariable)
	if dir == "" {
		out, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			return "", fmt.Errorf("agent: go env GOMOD: %w", err)
		}
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "build", "agent")
	}
	if _, err := os.Stat(filepath.Join(dir, "KeeperPrivilegeManager")); err != nil {
		return "", fmt.Errorf("agent: nothing is staged: run `make stage` first: %w", err)
	}
	return dir, nil
}

// Revision is another revision of this repository, checked out and staged in a
// directory of its own.
type Revision struct{ Dir string }

// Checkout makes a work tree of revision, whatever git takes for one, and
// builds its agent there.
func Checkout(ctx context.Context, revision string) (*Revision, error) {
	parent, err := os.MkdirTemp("", "kpm-revision-")
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	r := &Revision{Dir: filepath.Join(parent, "tree")}
	for _, argv := range [][]string{
		{"git", "worktree", "add", "--quiet", "--detach", r.Dir, revision},
		{"make", "--no-print-directory", "-C", r.Dir, "stage"},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("agent: revision %s: %s: %w\n%s", revision, argv[0], err, out), r.Close())
		}
	}
	return r, nil
}

// Staged is the revision's agent.
func (r *Revision) Staged() string { return filepath.Join(r.Dir, "build", "agent") }

// Environ is the environment in which tests drive the revision's agent.
func (r *Revision) Environ() []string { return append(os.Environ(), StagedVariable+"="+r.Staged()) }

// Close removes the work tree.
func (r *Revision) Close() error {
	err := os.RemoveAll(filepath.Dir(r.Dir))
	if out, pruned := exec.Command("git", "worktree", "prune").CombinedOutput(); pruned != nil {
		err = errors.Join(err, fmt.Errorf("agent: git worktree prune: %w\n%s", pruned, out))
	}
	return err
}
