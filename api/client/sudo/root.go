package sudo

import (
	"os"

	"kpm/core/port/caller"
)

const rootVar = "KEEPER_AGENT_ROOT"

// connect finds the agent root and connects to its service.
func connect(flag string, host caller.Host) *failure {
	root := agentRoot(flag, host.DefaultRoot, host.Administrator, os.Getenv)
	if err := host.Service.Connect(root); err != nil {
		return &failure{exitRefused, err.Error()}
	}
	return nil
}

// agentRoot applies decision 4: flag, then environment, then default. An
// administrator has more to lose, and an environment that may be somebody
// else's.
func agentRoot(flag, byDefault string, administrator bool, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if value := getenv(rootVar); value != "" && !administrator {
		return value
	}
	return byDefault
}
