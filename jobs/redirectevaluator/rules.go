package redirectevaluator

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

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
// keep some program from being launched.
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
	if err := json.Unmarshal([]byte(text), &written); err != nil {
		return nil, fmt.Errorf("metadata.redirect.rules: expected a list of rules: %w", err)
	}
	if len(written) > maxRules {
		return nil, fmt.Errorf("metadata.redirect.rules: %d rules, expected at most %d", len(written), maxRules)
	}
	rules := make([]rule, len(written))
	for i, w := range written {
		if w.SourceExePattern == "" && w.CommandLinePattern == "" {
			return nil, fmt.Errorf("metadata.redirect.rules[%d]: neither sourceExePattern nor commandLinePattern is given, expected at least one", i)
		}
		if w.TargetExe == "" {
			return nil, fmt.Errorf("metadata.redirect.rules[%d].targetExe is missing, expected the program to use instead", i)
		}
		source, err := regexp.Compile(w.SourceExePattern)
		if err != nil {
			return nil, fmt.Errorf("metadata.redirect.rules[%d].sourceExePattern: %w", i, err)
		}
		commandLine, err := regexp.Compile(w.CommandLinePattern)
		if err != nil {
			return nil, fmt.Errorf("metadata.redirect.rules[%d].commandLinePattern: %w", i, err)
		}
		rules[i] = rule{source, commandLine, w.NonAdminOnly, w.TargetExe}
	}
	return rules, nil
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
