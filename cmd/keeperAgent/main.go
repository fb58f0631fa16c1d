// Command keeperAgent shows a person's approvals and runs what was approved. It holds
// no logic: see api/client/agent.
package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"kpm/api/client/agent"
	"kpm/platform"
	"kpm/platform/answer"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

func main() {
	host := platform.Tools("")
	os.Exit(agent.Run(context.Background(), os.Args[1:], agent.Config{
		Version: version, Host: host, Run: run, Secret: answer.Secret, Answering: answer.Ready(),
		Interactive: host.Terminals.IsTerminal(os.Stdin) && host.Terminals.IsTerminal(os.Stdout),
		Stdin:       os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

// run runs keepersudo in place of this program's own work: what is typed meanwhile,
// signals of the terminal included, is keepersudo's.
func run(program, dir string, args []string) (int, error) {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGQUIT) // not ignored: that is inherited
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if code := ended.ExitCode(); code >= 0 {
			return code, nil
		}
		return 128 + int(syscall.SIGTERM), nil // it was killed, by whatever
	}
	return 0, err
}
