package redirectevaluator

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Where the rules are written.
const (
	rulesFile    = "Plugins/" + ID + ".json"
	rulesSetting = "metadata.redirect.rules"
)

// maxDepth bounds how deep the setting may nest; rules need two levels.
const maxDepth = 32

// maxRules bounds the rules of one agent.
const maxRules = 1000

// rule is one entry of metadata.redirect.rules. Patterns are RE2 expressions
// that match anywhere; an empty one matches everything.
type rule struct {
	source, commandLine *regexp.Regexp
	nonAdminOnly        bool
	target              string
}

// subject is what was allowed and is about to be launched.
type subject struct {
	file          string
	argv          []string
	administrator bool
}

// parseRules reads the value of setting metadata.redirect.rules. A rule that
// cannot be read is an error, not a rule that never matches: it was written to
// keep some program from being launched. So is a key given twice, of which
// another reader might obey the other value. The error is a *fault.Fault without
// a line: the text is one value of the file, and its lines are not the file's.
func parseRules(text string) ([]rule, error) {
	var written []struct {
		SourceExePattern   string
		CommandLinePattern string
		// ElevationOnly needs no look: only elevations come here.
		ElevationOnly bool
		NonAdminOnly  bool
		TargetExe     string
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
	rules := make([]rule, len(written))
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
		rules[i] = rule{source, commandLine, w.NonAdminOnly, w.TargetExe}
	}
	return rules, nil
}

// wrong is the fault of the value at path, which begins at the setting.
func wrong(path, found, expected string) *fault.Fault {
	return &fault.Fault{File: rulesFile, Field: rulesSetting + path, Found: found, Expected: expected}
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
		return wrong("", fmt.Sprintf("not JSON (%v)", e.Err), "a list of rules")
	case e.Problem == strictjson.NotUTF8:
		return wrong("", "not UTF-8", "a list of rules")
	}
	return wrong(e.Path, e.Found, e.Expected)
}

// match returns the target of the first rule that matches s.
func match(rules []rule, s subject) (target string, ok bool) {
	line := strings.Join(s.argv, " ")
	for _, r := range rules {
		if r.nonAdminOnly && s.administrator {
			continue
		}
		if r.source.MatchString(s.file) && r.commandLine.MatchString(line) {
			return r.target, true
		}
	}
	return "", false
}
