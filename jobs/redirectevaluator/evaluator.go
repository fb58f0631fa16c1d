// Package redirectevaluator is the task that looks, before a launch, for a rule
// that redirects the program to another one. Its rules are the setting
// metadata.redirect.rules of RedirectEvaluator; the first match wins.
//
// It launches nothing. A match makes it fail, so that the launch job ends and
// the request with it; launching the substitute is not supported yet.
package redirectevaluator

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"kpm/core/wire"
	"kpm/plugins/sdk"
)

// ID is the task's command and the plugin id of its settings.
const ID = "RedirectEvaluator"

// Exit codes. Everything but ExitNoMatch keeps the program from being launched.
const (
	ExitNoMatch = 0
	ExitFault   = 1
	ExitMatch   = 10
)

// answer is printed for the job's context.
type answer struct {
	RedirectMatched bool
	RedirectTarget  string `json:",omitempty"`
}

// Main runs the task and returns its exit code. It fetches its settings from
// the agent at network; nil is the agent that started it.
func Main(ctx context.Context, args []string, network sdk.Network, stdout, stderr io.Writer) int {
	if network == nil {
		network = sdk.Local()
	}
	target, matched, err := evaluate(ctx, args, network)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(answer{matched, target})
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", ID, err)
		return ExitFault
	case matched:
		fmt.Fprintf(stderr, "policy redirects this program to %s\n", wire.Printable(target))
		return ExitMatch
	}
	return ExitNoMatch
}

func evaluate(ctx context.Context, args []string, network sdk.Network) (target string, matched bool, err error) {
	s, err := parseSubject(args)
	if err != nil {
		return "", false, err
	}
	values, err := sdk.Settings(ctx, network, ID)
	if err != nil {
		return "", false, err
	}
	var written string
	for key, value := range values { // keys are as the file spells them
		if strings.EqualFold(key, rulesSetting) {
			written = value
		}
	}
	rules, err := parseRules(written)
	if err != nil {
		return "", false, err
	}
	target, matched = match(rules, s)
	return target, matched, nil
}

func parseSubject(args []string) (subject, error) {
	var s subject
	var commandLine, user string
	flags := flag.NewFlagSet(ID, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&s.file, "file", "", "the program's path")
	flags.StringVar(&commandLine, "command-line", "[]", "its argv as a JSON list")
	flags.StringVar(&user, "user", "", "who asked")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.file == "" || flags.NArg() > 0 {
		return s, errors.New("usage: RedirectEvaluator --file=PATH --command-line=JSON --user=NAME")
	}
	// {CommandLine} is one text, {Arguments} a list.
	if json.Unmarshal([]byte(commandLine), &s.argv) != nil {
		s.argv = []string{commandLine}
	}
	// Whoever else is an administrator is redirected like everyone: that
	// errs towards the rule.
	s.administrator = user == "root"
	return s, nil
}
