//go:build linux || darwin

// Command keeperedit does the work of "keepersudo -e": a person edits a copy, and the
// file alone is written by somebody with more rights. It holds no logic: see
// api/client/edit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"kpm/api/client/edit"
	"kpm/platform/files"
)

const usage = `Usage: keeperedit --root DIR [--user USER] [--non-interactive] FILE...
       keeperedit --serve FILE

keepersudo -e becomes the first and has the service launch the second for each FILE,
if policy allows that.

Examples:
  keepersudo -e /etc/hosts
  "AllowCommands": ["{approot}/keeperedit --serve {path:/etc/hosts}"]

`

// exitUsage is that of keepersudo.
const exitUsage = 2

func main() { os.Exit(run()) }

func run() int {
	flags := flag.NewFlagSet("keeperedit", flag.ContinueOnError)
	serve := flags.Bool("serve", false, "show one file on standard output and write it once, as standard input says; the service launches this")
	root := flags.String("root", "", "the agent's directory")
	user := flags.String("user", "", "whose rights are needed; root unless named")
	quiet := flags.Bool("non-interactive", false, "fail instead of asking a question")
	flags.Usage = func() {} // what is asked for goes to standard output, and what is wrong does not
	help := func(w *os.File) {
		fmt.Fprint(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		help(os.Stdout)
		return 0
	case err != nil, flags.NArg() == 0, *serve && flags.NArg() != 1, !*serve && *root == "":
		help(os.Stderr)
		return exitUsage
	}
	// What is typed at the editor's terminal is meant for the editor.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	if *serve {
		if err := edit.Serve(flags.Arg(0), protected, os.Stdin, os.Stdout); err != nil {
			return 1 // the other end has said why
		}
		return 0
	}
	editor, err := edit.Editor(os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "keeperedit: %v\n", err)
		return exitUsage
	}
	command := []string{filepath.Join(*root, "keepersudo"), "--root", *root}
	if *user != "" {
		command = append(command, "--user", *user)
	}
	if *quiet {
		command = append(command, "--non-interactive")
	}
	command = append(command, "--", filepath.Join(*root, "keeperedit"), "--serve")
	return edit.Edit(context.Background(), edit.Request{Command: command, Files: flags.Args(), Editor: editor})
}

// protected reports nil if the administrator alone can change what path leads to.
func protected(path string) error {
	alone := true
	if _, err := files.Resolve(path, func(_ string, _, protected bool) { alone = alone && protected }); err != nil {
		return err
	}
	if !alone {
		return edit.ErrNotSealed
	}
	return nil
}
