package admincli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/policy"
	"kpm/core/view"
)

// planned is what "policy apply" does with one file.
type planned struct {
	File   string `json:"file"` // where it is read
	Target string `json:"target"`
	// Action is "add", "replace" or "keep": nothing changes.
	Action   string   `json:"action"`
	Policies []listed `json:"policies"`
	Before   []listed `json:"before"` // those of the file that it replaces
	// Changes are lines: "+" and a policy that is new, "-" one that goes, "~" one that
	// changes with the keys that do, "=" one that stays.
	Changes []string `json:"changes"`
	data    []byte   // to write
}

// applied is what "policy apply --json" prints.
type applied struct {
	DryRun   bool             `json:"dryRun"`
	Files    []planned        `json:"files"`
	Findings []policy.Finding `json:"findings"`
}

func applyCommand(p *policies, e *endpoint) *cobra.Command {
	var asJSON, dry, force bool
	cmd := &cobra.Command{
		Use:   "apply [--dry-run] FILE...",
		Short: "Put policy files in force",
		Long: `Put policy files in force: they are checked, and written into the agent root's
Policies folder under their own names, each in one step. A running agent decides
by them when the command returns. With --dry-run it is only said what would change.

A file with a fault, and one with a policy that grants nothing although it means
to, such as one for a user whom this machine does not know, are refused; --force
takes the latter. Nothing is written unless all files can be.`,
		Example: "  KeeperAdminCLI policy apply --dry-run new.json\n  KeeperAdminCLI policy apply new.json collections.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			layout, err := p.layout()
			if err != nil {
				return err
			}
			out, err := p.plan(layout.Policies(), args)
			err = cmp.Or(err, cmd.Context().Err())
			if err != nil {
				return err
			}
			out.DryRun = dry
			refused := false
			for _, f := range out.Findings {
				refused = refused || f.Severity == policy.Fault || f.Severity == policy.Doubt && !force
			}
			if !dry && !refused {
				if err := write(out.Files); err != nil {
					return err
				}
			}
			if err := printPlan(cmd.OutOrStdout(), out, refused, asJSON); err != nil {
				return err
			}
			if refused {
				return errFault
			}
			if dry {
				return nil
			}
			return inForce(cmd, e)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&force, "force", false, "take policies that grant nothing")
	return cmd
}

// inForce returns when the agent decides by what was written. One that does not run
// reads it when it starts.
func inForce(cmd *cobra.Command, e *endpoint) error {
	var done view.Reloaded
	err := e.post(cmd.Context(), "/api/system/reload?only=policies", nil, &done)
	switch {
	case errors.Is(err, client.ErrNotRunning):
		return nil
	case err != nil:
		return fmt.Errorf("the files are written, and it is not known whether they are in force: %w", err)
	case len(done.Problems) > 0:
		fmt.Fprintln(cmd.ErrOrStderr(), strings.Join(done.Problems, "\n"))
		return errFault
	}
	return nil
}

// plan reads what is to be applied, beside what is in force.
func (p *policies) plan(folder string, names []string) (applied, error) {
	out := applied{Files: []planned{}, Findings: []policy.Finding{}}
	collections := p.collections
	for _, name := range names {
		base := filepath.Base(name)
		if !strings.EqualFold(filepath.Ext(base), ".json") || strings.HasPrefix(base, ".") {
			return out, fmt.Errorf("%s is no policy file, expected a name that ends in .json and does not begin with a dot", name)
		}
		data, err := readAtMost(name, policy.MaxFile)
		if err != nil {
			return out, err
		}
		f := planned{File: name, Target: filepath.Join(folder, base), Action: "add", Policies: []listed{}, Before: []listed{}, data: data}
		switch old, err := os.ReadFile(f.Target); {
		case err == nil && bytes.Equal(old, data):
			f.Action = "keep"
		case err == nil:
			f.Action = "replace"
			f.Before = listAll(p.Policies(PolicyFiles{Root: p.root, Paths: []string{f.Target}}))
		case !errors.Is(err, fs.ErrNotExist):
			return out, err
		}
		if base == "collections.json" {
			collections = name
		}
		out.Files = append(out.Files, f)
	}
	if collections == "" {
		if path := filepath.Join(folder, "collections.json"); exists(path) {
			collections = path
		}
	}
	for i := range out.Files {
		f := &out.Files[i]
		files := PolicyFiles{Root: p.root, Collections: collections, EnforceForAdministrators: p.enforce, Own: true}
		if filepath.Base(f.File) == "collections.json" {
			files.Collections = f.File
		} else {
			files.Paths = []string{f.File}
		}
		set := p.Policies(files)
		f.Policies = listAll(set)
		f.Changes = append([]string{}, difference(f.Before, f.Policies)...)
		for _, found := range set.Review(time.Now()) {
			// What is wrong with the owner of the file here is not wrong with what is written.
			if found.Index >= 0 || found.Severity == policy.Fault {
				out.Findings = append(out.Findings, found)
			}
		}
	}
	return out, nil
}

func listAll(set PolicySet) []listed {
	list := []listed{}
	for _, p := range set.Policies() {
		list = append(list, listedOf(p))
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readAtMost(name string, most int64) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return data, err
}

// write replaces each file in one step: the agent reads the old one or the new
// one. All are written beside their places before the first takes its own.
func write(files []planned) error {
	var ready []string
	defer func() {
		for _, name := range ready {
			os.Remove(name) // what is in its place is gone from here
		}
	}()
	for i := range files {
		f := &files[i]
		if f.Action == "keep" {
			ready = append(ready, "")
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Target), 0o755); err != nil {
			return err
		}
		name, err := writeBeside(f.Target, f.data)
		if name != "" {
			ready = append(ready, name)
		}
		if err != nil {
			return err
		}
	}
	for i, name := range ready {
		if name != "" {
			if err := os.Rename(name, files[i].Target); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBeside makes a hidden file, which the agent does not read.
func writeBeside(target string, data []byte) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(target), ".apply-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	return file.Name(), err
}

func printPlan(w io.Writer, out applied, refused, asJSON bool) error {
	if asJSON {
		return printJSON(w, out)
	}
	for _, f := range out.Findings {
		if err := line(w, "%s: %s", f.Severity, f.Error()); err != nil {
			return err
		}
	}
	for _, f := range out.Files {
		verb := map[string]string{"add": "added", "replace": "replaced", "keep": "the same already"}[f.Action]
		if (out.DryRun || refused) && f.Action != "keep" {
			verb = "would be " + verb
		}
		if err := line(w, "%s: %s", f.Target, verb); err != nil {
			return err
		}
		if f.Action == "keep" {
			continue
		}
		for _, d := range f.Changes {
			if err := line(w, "  %s", d); err != nil {
				return err
			}
		}
	}
	if refused {
		return line(w, "nothing was written: correct what is wrong, or see --force")
	}
	return nil
}

// difference says which policies of a file come, go, change or stay, and which keys
// of those that change are others.
func difference(before, after []listed) (list []string) {
	find := func(all []listed, id string) *listed {
		for i := range all {
			if all[i].ID == id {
				return &all[i]
			}
		}
		return nil
	}
	text := func(l *listed) string { return fmt.Sprintf("%s (%s, %s)", l.ID, l.Status, join(l.Controls)) }
	for i := range before {
		if find(after, before[i].ID) == nil {
			list = append(list, "- "+text(&before[i]))
		}
	}
	for i := range after {
		l := &after[i]
		old := find(before, l.ID)
		if old == nil {
			list = append(list, "+ "+text(l))
			continue
		}
		if keys := otherKeys(old.written, l.written); len(keys) > 0 {
			list = append(list, fmt.Sprintf("~ %s, before %s, %s; other in %s", text(l), old.Status, join(old.Controls), strings.Join(keys, ", ")))
		} else {
			list = append(list, "= "+text(l))
		}
	}
	return list
}

// otherKeys are the keys of a policy that have another value, or that one of the two
// does not have.
func otherKeys(before, after []byte) []string {
	var old, now map[string]json.RawMessage
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(after, &now) != nil {
		return []string{"all of it"}
	}
	compact := func(v json.RawMessage) string {
		var b bytes.Buffer
		if json.Compact(&b, v) != nil {
			return string(v)
		}
		return b.String()
	}
	var keys []string
	for key, v := range now {
		if was, is := old[key]; !is || compact(was) != compact(v) {
			keys = append(keys, key)
		}
	}
	for key := range old {
		if _, is := now[key]; !is {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
