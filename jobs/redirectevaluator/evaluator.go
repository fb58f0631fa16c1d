// Package redirectevaluator is the task that looks, before a launch, for a rule
// that redirects the program to another one. Its rules are the setting
// metadata.redirect.rules of RedirectEvaluator; the first match wins.
//
// It launches nothing, and its answer names no program: the launch job asks the
// service to launch the substitute, and the service reads the rules for itself.
package redirectevaluator

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"kpm/core/redirect"
	"kpm/plugins/sdk"
)

// ID is the task's command and the plugin id of its settings.
const ID = redirect.Plugin

// Exit codes. ExitFault ends the launch job, and with it the request.
const (
	ExitOK    = 0
	ExitFault = 1
)

// answer is printed for the job's context.
type answer struct{ RedirectMatched bool }

// Main runs the task and returns its exit code. It fetches its settings from
// the agent at network; nil is the agent that started it.
func Main(ctx context.Context, args []string, network sdk.Network, stdout, stderr io.Writer) int {
	if network == nil {
		network = sdk.Local()
	}
	matched, err := evaluate(ctx, args, network)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(answer{matched})
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", ID, err)
		return ExitFault
	}
	return ExitOK
}

func evaluate(ctx context.Context, args []string, network sdk.Network) (matched bool, err error) {
	s, err := parseSubject(args)
	if err != nil {
		return false, err
	}
	values, err := sdk.Settings(ctx, network, ID)
	if err != nil {
		return false, err
	}
	var written string
	for key, value := range values { // keys are as the file spells them
		if strings.EqualFold(key, redirect.Setting) {
			written = value
		}
	}
	rules, err := redirect.Parse(written)
	if err != nil {
		return false, err
	}
	_, matched = rules.Match(s)
	return matched, nil
}

func parseSubject(args []string) (redirect.Subject, error) {
	var s redirect.Subject
	var commandLine, user string
	flags := flag.NewFlagSet(ID, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&s.Path, "file", "", "the program's path")
	flags.StringVar(&commandLine, "command-line", "[]", "its argv as a JSON list")
	flags.StringVar(&user, "user", "", "who asked")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.Path == "" || flags.NArg() > 0 {
		return s, errors.New("usage: RedirectEvaluator --file=PATH --command-line=JSON --user=NAME")
	}
	// {CommandLine} is one text, {Arguments} a list.
	if json.Unmarshal([]byte(commandLine), &s.Argv) != nil {
		s.Argv = []string{commandLine}
	}
	// Whoever else is an administrator is redirected like everyone: that
	// errs towards the rule.
	s.Administrator = user == "root"
	return s, nil
}
