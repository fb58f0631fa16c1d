package sudo

const rootVar = "KEEPER_AGENT_ROOT"

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
