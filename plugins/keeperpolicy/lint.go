package keeperpolicy

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"kpm/core/policy"
)

// Exit codes of Lint.
const (
	lintClean = 0
	lintFault = 1
	lintUsage = 2
)

const lintHelp = `Usage: KeeperPolicy lint [--root DIR] [--collections FILE] [--json] FILE|FOLDER...

Reads policy files as the agent on this machine would and prints what there is
to say about them. Nothing is put in force. Of a folder every .json file is read.

  fault           the file cannot be read, or the service will refuse it
  grants nothing  so the policy, or the part of it that is named; DENY and
                  controls apply
  note            something has no effect, or not the one it looks to have, or
                  a grant gives more than it looks to give

Exit status: 0 if every policy means what it says, 1 with faults or a policy
that grants nothing, 2 if the command line is wrong.

Examples:
  KeeperPolicy lint Policies/*.json
  KeeperPolicy lint --json --collections collections.json new/

`

// Tools are what Lint needs of the operating system.
type Tools struct {
	// Open opens a folder below an agent root, as the service does.
	Open func(root, path string) (Folder, error)
	// Resolve is that of Config.
	Resolve func(path string, visit func(at string, link, protected bool)) (string, error)
}

// Lint checks policy files for their authors, without an agent, and returns
// the exit code. args follow the word "lint".
func Lint(args []string, stdout, stderr io.Writer, tools Tools) int {
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {} // what is asked for goes to standard output, and what is wrong does not
	help := func(w io.Writer) {
		fmt.Fprint(w, lintHelp)
		flags.SetOutput(w)
		flags.PrintDefaults()
	}
	root := flags.String("root", platform().DefaultRoot(), "agent root, for {approot} and the like")
	collections := flags.String("collections", "", "collections file that the policies refer to")
	asJSON := flags.Bool("json", false, "print the findings as a JSON array")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		help(stdout)
		return lintClean
	case err != nil, flags.NArg() == 0:
		help(stderr)
		return lintUsage
	}
	c := ReadCandidate(Reading{Root: *root, Collections: *collections, Paths: flags.Args()}, tools)
	findings := c.Review(time.Now())
	if err := printFindings(stdout, findings, c.linter.sources, *asJSON); err != nil {
		fmt.Fprintln(stderr, "KeeperPolicy lint:", err)
		return lintFault
	}
	// An author who meant to allow something learns here that it will not be.
	if slices.ContainsFunc(findings, func(f policy.Finding) bool { return f.Severity != policy.Note }) {
		return lintFault
	}
	return lintClean
}

// printFindings prints each with the line that it is about, for people, or all
// as a JSON array.
func printFindings(w io.Writer, findings []policy.Finding, sources map[string][]byte, asJSON bool) error {
	if asJSON {
		if findings == nil {
			findings = []policy.Finding{}
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%s: %s\n%s", f.Severity, f.Error(), f.Excerpt(sources[f.File])); err != nil {
			return err
		}
	}
	return nil
}
