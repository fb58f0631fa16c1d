package admincli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/policy"
	"kpm/core/wire"
)

// PolicyFiles says which policy files a command is about.
type PolicyFiles struct {
	Root        string // the agent root; empty is the default
	Collections string
	Paths       []string // files and folders
	// Files are the paths that there are, each with where it leads, in place of
	// this machine's; nil is this machine's.
	Files map[string]string
	// EnforceForAdministrators is the setting of that name.
	EnforceForAdministrators bool
	// Own says that they are for this machine alone, wherever they lie.
	Own bool
}

// PolicySet is a set of policies that was read from files, and decides as the
// policy plugin does.
type PolicySet interface {
	// Policies returns them in the order of their files.
	Policies() []policy.Policy
	// Review returns what there is to say about them at that time.
	Review(at time.Time) []policy.Finding
	// Excerpt returns the line that a finding is about, marked.
	Excerpt(f policy.Finding) string
	// Ask returns what would be asked if user typed argv in dir, to run it as
	// target. An error says what cannot be understood.
	Ask(user, target, dir string, argv []string) (wire.PolicyRequest, error)
	// Explain decides a question at that time, and says why. filters says of filter
	// jobs whether they pass; one that is not named has not answered.
	Explain(q wire.PolicyRequest, at time.Time, filters map[string]bool) (policy.Explanation, error)
}

// policies are the flags that all commands about policies have.
type policies struct {
	*agent
	paths       []string
	collections string
	enforce     bool
}

func policyCommand(e *endpoint) *cobra.Command {
	p := policies{agent: e.agent}
	cmd := group(&cobra.Command{
		Use:   "policy",
		Short: "Check, explain, try and install policies",
		Long: `Check, explain, try and install policies.

Policies are read from files: those of the agent root, or those that --policies
names. They are decided by as KeeperPolicy does, on what this machine knows, and
nothing is put in force but by "policy apply". None of it needs a running service.`,
	}, lintCommand(&p), listPoliciesCommand(&p), showPolicyCommand(&p), explainCommand(&p),
		testPoliciesCommand(&p), replayCommand(&p), applyCommand(&p, e), newPolicyCommand(&p))
	flags := cmd.PersistentFlags()
	flags.StringArrayVar(&p.paths, "policies", nil, "read this file or folder in place of the agent root's policies; give it again for more")
	flags.StringVar(&p.collections, "collections", "", "collections file that the policies refer to")
	flags.BoolVar(&p.enforce, "enforce-for-administrators", false, "decide as if policy.enforceForAdministrators were true")
	return cmd
}

// read reads the files that the flags name, and more of them.
func (p *policies) read(ctx context.Context, more ...string) (PolicySet, error) {
	files := PolicyFiles{Root: p.root, Collections: p.collections, Paths: append(p.paths[:len(p.paths):len(p.paths)], more...), EnforceForAdministrators: p.enforce}
	if len(files.Paths) == 0 {
		layout, err := p.layout()
		if err != nil {
			return nil, err
		}
		files.Root, files.Paths = layout.Root(), []string{layout.Policies()}
	}
	set := p.Policies(files)
	return set, ctx.Err() // whoever interrupts has no answer
}

// unread says which files the service does not use as they are. What is said of the others
// is not its answer, whether or not these could be understood.
func unread(cmd *cobra.Command, findings []policy.Finding) error {
	var err error
	for _, f := range findings {
		if f.Severity == policy.Fault {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", f.Severity, f.Error())
			err = errFault
		}
	}
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "the service does not use these files as they are, and may decide otherwise than is said here")
	}
	return err
}
