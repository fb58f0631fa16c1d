// Package redirect reads and matches redirect rules: which programs are replaced by
// another one when they would be launched (docs/jobs.md, "Redirects").
//
// It reads no file and starts nothing. Where the rules stand is its callers' affair: the
// launch job's task looks for a match, and the service, which launches, looks again.
package redirect

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Where the rules are written.
const (
	Plugin  = "RedirectEvaluator"         // the plugin whose settings they are
	Enabled = "metadata.redirect.enabled" // whether they count
	Setting = "metadata.redirect.rules"

	rulesFile = "Plugins/" + Plugin + ".json"
)

// maxDepth bounds how deep the setting may nest; rules need two levels.
const maxDepth = 32

// maxRules bounds the rules of one agent.
const maxRules = 1000

// Rules are the entries of metadata.redirect.rules, in their order.
type Rules []rule

// rule is one entry. Patterns are RE2 expressions that match anywhere; an empty one
// matches everything.
type rule struct {
	source, commandLine *regexp.Regexp
	nonAdminOnly        bool
	substitute          Substitute
}

// Substitute is what a rule has launched instead.
type Substitute struct {
	// Rule is its number, from 1.
	Rule int
	// Target is targetExe: a path, or the name of something that is deployed.
	Target string
	// Arguments are targetArguments as a list; Line is the same as one text of
	// words. One of them is empty.
	Arguments []string
	Line      string
}

// Subject is what was allowed and is about to be launched.
type Subject struct {
	Path          string
	Argv          []string
	Administrator bool // who asks is one
}

// Parse reads the value of setting metadata.redirect.rules. A rule that
// cannot be read is an error, not a rule that never matches: it was written to
// keep some program from being launched. So is a key given twice, of which
// another reader might obey the other value. The error is a *fault.Fault without
// a line: the text is one value of the file, and its lines are not the file's.
func Parse(text string) (Rules, error) {
	var written []struct {
		SourceExePattern   string
		CommandLinePattern string
		// ElevationOnly needs no look: only elevations come here.
		ElevationOnly bool
		NonAdminOnly  bool
		TargetExe     string
		// TargetArguments are a list of texts, or one text of words.
		TargetArguments json.RawMessage
	}
	if text == "" {
		return nil, nil
	}
	v, err := strictjson.Parse([]byte(text), len(text))
	if err != nil {
		return nil, faultOf(err)
	}
	if err := v.Decode(&written); err != nil {
		return nil, faultOf(err)
	}
	if err := v.Check(maxDepth); err != nil {
		return nil, faultOf(err)
	}
	if len(written) > maxRules {
		return nil, wrong("", fmt.Sprintf("a list of %d rules", len(written)), fmt.Sprintf("at most %d", maxRules))
	}
	rules := make(Rules, len(written))
	for i, w := range written {
		at := fault.Item("", i)
		if w.SourceExePattern == "" && w.CommandLinePattern == "" {
			return nil, wrong(at, "a rule without a pattern", "sourceExePattern, commandLinePattern or both")
		}
		if w.TargetExe == "" {
			return nil, wrong(fault.Key(at, "targetExe"), "missing", "the program to use instead")
		}
		source, err := regexp.Compile(w.SourceExePattern)
		if err != nil {
			return nil, notRE2(fault.Key(at, "sourceExePattern"), w.SourceExePattern, err)
		}
		commandLine, err := regexp.Compile(w.CommandLinePattern)
		if err != nil {
			return nil, notRE2(fault.Key(at, "commandLinePattern"), w.CommandLinePattern, err)
		}
		instead := Substitute{Rule: i + 1, Target: w.TargetExe}
		if arguments := w.TargetArguments; len(arguments) > 0 && json.Unmarshal(arguments, &instead.Line) != nil {
			instead.Line = ""
			if json.Unmarshal(arguments, &instead.Arguments) != nil {
				return nil, wrong(fault.Key(at, "targetArguments"), "neither a text nor a list of texts", "the arguments of targetExe")
			}
		}
		rules[i] = rule{source, commandLine, w.NonAdminOnly, instead}
	}
	return rules, nil
}

// wrong is the fault of the value at path, which begins at the setting.
func wrong(path, found, expected string) *fault.Fault {
	return &fault.Fault{File: rulesFile, Field: Setting + path, Found: found, Expected: expected}
}

func notRE2(path, pattern string, err error) *fault.Fault {
	return wrong(path, fmt.Sprintf("%s (%v)", fault.Text(pattern), err), "an RE2 expression")
}

// faultOf is what strictjson says, as a fault of the setting.
func faultOf(err error) error {
	var e *strictjson.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Problem == strictjson.NotJSON:
		f := wrong("", fmt.Sprintf("not JSON (%v)", e.Err), "a list of rules")
		f.Remedy = e.Remedy
		return f
	case e.Problem == strictjson.NotUTF8:
		return wrong("", "not UTF-8", "a list of rules")
	}
	return wrong(e.Path, e.Found, e.Expected)
}

// Match returns what the first rule that matches s has launched instead.
func (r Rules) Match(s Subject) (instead Substitute, ok bool) {
	line := strings.Join(s.Argv, " ")
	for _, rule := range r {
		if rule.nonAdminOnly && s.Administrator {
			continue
		}
		if rule.source.MatchString(s.Path) && rule.commandLine.MatchString(line) {
			return rule.substitute, true
		}
	}
	return Substitute{}, false
}

// Launch is what is launched instead, found.
type Launch struct {
	Rule int    // its number, from 1
	Path string // absolute
	Args []string
}
