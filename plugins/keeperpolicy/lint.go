package keeperpolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"kpm/core/fault"
	"kpm/core/policy"
)

// Exit codes of Lint.
const (
	lintClean = 0
	lintFault = 1
	lintUsage = 2
)

const lintHelp = `usage: KeeperPolicy lint [--root DIR] [--collections FILE] [--json] FILE...

Reads policy files as the agent on this machine would and prints what there is
to say about them. Nothing is put in force.

  fault           the file would not be used, and neither would the others
  grants nothing  the policy is not understood whole; its DENY and controls apply
  note            something has no effect, or not the one it looks to have

Exit status: 0 if every policy means what it says, 1 with faults or a policy
that grants nothing, 2 if the command line is wrong.

`

// Lint checks policy files for their authors, without an agent, and returns
// the exit code. args follow the word "lint".
func Lint(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("lint", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, lintHelp)
		flags.PrintDefaults()
	}
	root := flags.String("root", platform().DefaultRoot(), "agent root, for {approot} and the like")
	collections := flags.String("collections", "", "collections file that the policies refer to")
	asJSON := flags.Bool("json", false, "print the findings as a JSON array")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return lintClean
	} else if err != nil {
		return lintUsage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return lintUsage
	}
	r := newReading("")
	sources := map[string][]byte{}
	if *collections != "" {
		if data, ok := r.forLint(*collections); ok {
			sources[*collections] = data
			r.addCollections(*collections, data)
		}
	}
	for _, path := range flags.Args() {
		if data, ok := r.forLint(path); ok {
			sources[path] = data
			policies, findings := r.engine.Parse(path, data)
			r.policies = append(r.policies, policies...)
			r.findings = append(r.findings, findings...)
		}
	}
	_, findings := r.engine.Compile(r.policies, machine(*root, r.collections, false))
	findings = append(r.findings, findings...)
	if err := printFindings(stdout, findings, sources, *asJSON); err != nil {
		fmt.Fprintln(stderr, "KeeperPolicy lint:", err)
		return lintFault
	}
	// An author who meant to allow something learns here that it will not be.
	if slices.ContainsFunc(findings, func(f policy.Finding) bool { return f.Severity != policy.Note }) {
		return lintFault
	}
	return lintClean
}

// forLint reads a file that need not be trusted yet.
func (r *reading) forLint(path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		r.findings = append(r.findings, policy.Finding{
			Severity: policy.Fault, Index: -1,
			Fault: fault.Fault{File: path, Found: err.Error(), Expected: "a file that can be read"},
		})
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), err == nil
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
