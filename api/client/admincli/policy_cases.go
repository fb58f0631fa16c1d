package admincli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// maxCasesFile bounds a file of cases, in bytes.
const maxCasesFile = 16 << 20

// CasesFile is a file of cases, as "policy test" reads it
// (docs/policies/cases.schema.json).
type CasesFile struct {
	Schema      string `json:"$schema,omitempty"`
	Description string `json:"Description,omitempty"`
	// Policies and Collections are files, from the folder of this one.
	Policies    []string `json:"Policies,omitempty"`
	Collections string   `json:"Collections,omitempty"`
	// Files are the paths that there are, each with where it leads. With them
	// nothing is looked up on this machine.
	Files map[string]string `json:"Files,omitempty"`
	// Enforce is policy.enforceForAdministrators.
	Enforce bool `json:"EnforceForAdministrators,omitempty"`
	// Defaults are taken for what a case leaves out.
	Defaults Case   `json:"Defaults"`
	Cases    []Case `json:"Cases"`
}

// Case is one question and the answer that is expected.
type Case struct {
	Name   string      `json:"Name,omitempty"`
	User   string      `json:"User,omitempty"`
	UserID core.UserID `json:"UserId,omitempty"`
	// Groups are names of groups. With UserId or Groups nobody is looked up.
	Groups  []string `json:"Groups,omitempty"`
	Target  string   `json:"Target,omitempty"`
	Machine string   `json:"Machine,omitempty"`
	// At is a time as in --at; noon on Wednesday 2026-11-18 if it is left out.
	At string `json:"At,omitempty"`
	// Command is what is typed.
	Command   []string `json:"Command,omitempty"`
	Directory string   `json:"Directory,omitempty"`
	Risk      *uint8   `json:"Risk,omitempty"`
	// RequestedBy is who is behind the request; a terminal if it is left out.
	RequestedBy core.Requester `json:"RequestedBy,omitempty"`
	// FilterJobs says whether filter jobs pass; one that is not named does not
	// answer.
	FilterJobs map[string]bool `json:"FilterJobs,omitempty"`

	Expect   core.Outcome   `json:"Expect,omitempty"`
	Controls []core.Control `json:"Controls,omitempty"` // of PENDING; not compared without
	By       []string       `json:"By,omitempty"`       // ids of policies; not compared without
}

// caseResult is one case as "policy test --json" has it.
type caseResult struct {
	File     string   `json:"file"`
	Index    int      `json:"index"`
	Name     string   `json:"case"`
	Passed   bool     `json:"passed"`
	Expected string   `json:"expected"`
	Found    string   `json:"found"`
	Why      []string `json:"why,omitempty"` // of a case that failed
}

func testPoliciesCommand(p *policies) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Try policies on the cases of a file",
		Long: `Try policies on the cases of a file: who asks for what, and what the answer is to
be. The file says which policies it is about; --policies names others in their
place. docs/policies.md describes the format, docs/policies/cases.schema.json has
it for editors.

The exit status is 1 if a case fails, or if a policy of the file is wrong.`,
		Example: "  KeeperAdminCLI policy test docs/policies/restart-a-service.cases.json\n  KeeperAdminCLI policy test --policies new/ cases.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			results, failed := []caseResult{}, false
			for _, name := range args {
				list, err := p.try(name)
				err = cmp.Or(err, cmd.Context().Err())
				if err != nil {
					return err
				}
				results = append(results, list...)
				failed = failed || slices.ContainsFunc(list, func(r caseResult) bool { return !r.Passed })
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), results); err != nil {
					return err
				}
			} else if err := printResults(cmd.OutOrStdout(), results); err != nil {
				return err
			}
			if failed {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// try tries one file of cases.
func (p *policies) try(name string) ([]caseResult, error) {
	file, err := readCases(name)
	if err != nil {
		return nil, err
	}
	files := PolicyFiles{Root: p.root, Collections: p.collections, Paths: p.paths, Files: file.Files, EnforceForAdministrators: p.enforce || file.Enforce}
	dir := filepath.Dir(name)
	if files.Collections == "" && file.Collections != "" {
		files.Collections = filepath.Join(dir, file.Collections)
	}
	if len(files.Paths) == 0 {
		for _, path := range file.Policies {
			files.Paths = append(files.Paths, filepath.Join(dir, path))
		}
	}
	if len(files.Paths) == 0 {
		return nil, fmt.Errorf("%s names no Policies, expected files to try the cases on, there or by --policies", name)
	}
	set := p.Policies(files)
	for _, f := range set.Review(caseTime()) {
		if f.Severity == policy.Fault {
			return nil, errors.New(f.Error())
		}
	}
	results := make([]caseResult, len(file.Cases))
	for i, c := range file.Cases {
		if results[i], err = c.with(file.Defaults).try(set, name, i); err != nil {
			return nil, fmt.Errorf("%s: Cases[%d] (%s): %w", name, i, c.Name, err)
		}
	}
	return results, nil
}

// readCases reads a file of cases. A key that is none is an error: the case would
// be about something else.
func readCases(name string) (CasesFile, error) {
	var file CasesFile
	in, err := os.Open(name)
	if err != nil {
		return file, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxCasesFile+1))
	if err != nil {
		return file, err
	}
	if len(data) > maxCasesFile {
		return file, fmt.Errorf("%s has more than %d bytes", name, maxCasesFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return file, fmt.Errorf("%s is no file of cases: %w", name, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return file, fmt.Errorf("%s has something behind its object, expected nothing", name)
	}
	if len(file.Cases) == 0 {
		return file, fmt.Errorf("%s has no Cases, expected at least one", name)
	}
	return file, nil
}

// caseTime is noon on a Wednesday.
func caseTime() time.Time { return time.Date(2026, 11, 18, 12, 0, 0, 0, time.Local) }

// with fills what a case leaves out.
func (c Case) with(d Case) Case {
	c.User, c.UserID, c.Target = cmp.Or(c.User, d.User), cmp.Or(c.UserID, d.UserID), cmp.Or(c.Target, d.Target)
	c.Machine, c.At, c.Directory = cmp.Or(c.Machine, d.Machine), cmp.Or(c.At, d.At), cmp.Or(c.Directory, d.Directory, "/")
	c.Expect = cmp.Or(c.Expect, d.Expect)
	if c.Groups == nil {
		c.Groups = d.Groups
	}
	if c.Command == nil {
		c.Command = d.Command
	}
	if c.Risk == nil {
		c.Risk = d.Risk
	}
	c.RequestedBy = cmp.Or(c.RequestedBy, d.RequestedBy)
	if c.FilterJobs == nil {
		c.FilterJobs = d.FilterJobs
	}
	return c
}

// question is what the case asks.
func (c Case) question(set PolicySet) (wire.PolicyRequest, error) {
	user, known := c.User, c.UserID == "" && c.Groups == nil
	if !known { // whoever it is, there is root to take a name from
		user = "#0"
	}
	q, err := set.Ask(user, c.Target, c.Directory, c.Command)
	if err != nil {
		return q, err
	}
	if !known {
		q.UserName, q.UserID, q.Administrator = c.User, cmp.Or(c.UserID, "1000"), c.UserID == "0"
		q.Groups, q.GroupNames, q.GroupsUnknown = nil, c.Groups, false
	}
	q.MachineName, q.Risk = cmp.Or(c.Machine, q.MachineName), c.Risk
	q.RequestedBy = cmp.Or(c.RequestedBy, core.ByTerminal)
	return q, nil
}

func (c Case) try(set PolicySet, file string, index int) (caseResult, error) {
	r := caseResult{File: file, Index: index, Name: cmp.Or(c.Name, strings.Join(c.Command, " "))}
	switch c.Expect {
	case core.Allow, core.Deny, core.Pending:
	default:
		return r, fmt.Errorf("Expect is %q, expected ALLOW, DENY or PENDING", c.Expect)
	}
	if by := c.RequestedBy; by != "" && !slices.Contains(core.Requesters(), by) {
		return r, fmt.Errorf("RequestedBy is %q, expected terminal, desktop, service or agent", by)
	}
	at, err := parseTime(c.At, caseTime())
	if err != nil {
		return r, err
	}
	q, err := c.question(set)
	if err != nil {
		return r, err
	}
	e, err := set.Explain(q, at, c.FilterJobs)
	if err != nil {
		return r, err
	}
	found := decided{Outcome: e.Decision.Outcome, Controls: e.Decision.Controls, Policies: e.Decision.Policies}
	expected := decided{Outcome: c.Expect, Controls: c.Controls}
	for _, id := range c.By {
		expected.Policies = append(expected.Policies, core.PolicyRef{ID: id})
	}
	r.Expected, r.Found = summary(expected), summary(found)
	r.Passed = found.Outcome == expected.Outcome && (c.Controls == nil || sameWords(c.Controls, found.Controls)) &&
		(c.By == nil || sameWords(c.By, ids(found.Policies)))
	if r.Passed {
		return r, nil
	}
	for _, p := range e.Policies {
		why := fmt.Sprintf("%s %s: %s", p.Result, p.ID, p.Effect)
		for _, f := range p.Filters {
			if f.Result != policy.Met {
				why += fmt.Sprintf("; %s wants %s, found %s", f.Name, cmp.Or(strings.Join(f.Wanted, " "), "(empty)"), f.Found)
			}
		}
		r.Why = append(r.Why, wire.Printable(why))
	}
	return r, nil
}

func ids(refs []core.PolicyRef) []string {
	list := make([]string, len(refs))
	for i, ref := range refs {
		list[i] = ref.ID
	}
	return list
}

// sameWords compares lists in any order.
func sameWords[T ~string](a, b []T) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func printResults(w io.Writer, results []caseResult) error {
	failed := 0
	for _, r := range results {
		if r.Passed {
			continue
		}
		failed++
		if err := line(w, "FAILED %s, case %d, %s: expected %s; found %s", r.File, r.Index+1, r.Name, r.Expected, r.Found); err != nil {
			return err
		}
		for _, why := range r.Why {
			if err := line(w, "  %s", why); err != nil {
				return err
			}
		}
	}
	return line(w, "%d cases, %d failed", len(results), failed)
}
