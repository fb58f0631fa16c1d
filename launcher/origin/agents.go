package origin

import (
	"path"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// Agents are the programs that are taken for coding agents.
type Agents struct {
	names map[string]bool
	parts []string // of paths
}

// Known returns the coding agents that this release knows, as names of programs and,
// with a slash, as parts of paths. They are the commands that these products install
// and the folders that their packages have (npm, PyPI, vendors' install scripts); a
// person's editor with an agent in it is not among them, since a person types there
// too.
func Known() []string {
	return []string{
		"aider", "amp", "auggie", "claude", "cline", "codex", "copilot", "crush", "cursor-agent", "droid", "gemini", "goose", "kilocode", "kiro-cli",
		"openhands", "opencode", "plandex", "qchat", "qwen", "swe-agent",
		"/@anthropic-ai/claude-code/", "/@augmentcode/auggie/", "/@github/copilot/", "/@google/gemini-cli/", "/@openai/codex/", "/@qwen-code/qwen-code/", "/@sourcegraph/amp/",
		"/share/claude/versions/", "/share/cursor-agent/versions/",
	}
}

// NewAgents returns the known agents and those that a machine adds: names of
// programs, and paths.
func NewAgents(more []string) *Agents {
	a := &Agents{names: map[string]bool{}}
	for _, entry := range append(Known(), more...) {
		entry = slashed(entry)
		if strings.Contains(entry, "/") {
			a.parts = append(a.parts, entry)
		} else {
			a.names[plain(entry)] = true
		}
	}
	return a
}

// slashed is a path as it is compared, also one of Windows'. Whoever has a backslash in
// a name elsewhere may pass for an agent, and has nothing to gain by that.
func slashed(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// plain is a name without letter case and without what scripts end in.
func plain(name string) string {
	name = strings.ToLower(name)
	for _, end := range []string{".exe", ".js", ".mjs", ".cjs", ".py", ".sh"} {
		name = strings.TrimSuffix(name, end)
	}
	return name
}

// Name is what the agent is called that a process is; empty if it is none. Names
// that processes give themselves are believed: who is not an agent has nothing to
// gain by passing for one.
func (a *Agents) Name(p *core.Ancestor) string {
	for _, text := range append([]string{p.Program}, p.Names...) {
		text = slashed(text)
		if base := plain(path.Base(text)); text != "" && a.names[base] {
			return wire.Printable(base)
		}
		for _, part := range a.parts {
			if strings.Contains(text, part) {
				return wire.Printable(strings.Trim(part, "/"))
			}
		}
	}
	return ""
}
