package api

import (
	"strings"

	"kpm/core"
)

// access says who may use an operation.
type access struct {
	// name is how openapi.json says it (x-tier).
	name string
	// tier is what a caller must reach.
	tier core.Tier
	// ownRequest is for job runs that were started for a request, whatever
	// their tier.
	ownRequest bool
	// brokerKeys also admits users to the service's own settings, of which the
	// handler shows them where the broker is.
	brokerKeys bool
	// ownPlugin also admits a plugin in a user's session to what is its own
	// ({plugin} is its id).
	ownPlugin bool
	// ownSettings also admits a plugin in service context to what is its own.
	ownSettings bool
	// onlyPlugin, if not empty, is the one plugin that may.
	onlyPlugin string
	// adminElse marks operations whose handler asks for tier Admin but in cases
	// that it documents.
	adminElse bool
}

var (
	anyone               = access{name: "Public", tier: core.TierPublic}
	userTier             = access{name: "User", tier: core.TierUser}
	pluginTier           = access{name: "Plugin", tier: core.TierPlugin}
	adminTier            = access{name: "Admin", tier: core.TierAdmin}
	settingReaders       = access{name: "Plugin or own", tier: core.TierPlugin, ownPlugin: true, brokerKeys: true}
	ownPluginOrAdmin     = access{name: "Admin or own plugin", tier: core.TierAdmin, ownSettings: true}
	adminOrPluginTrigger = access{name: "Admin or allowPluginTrigger", tier: core.TierPlugin, adminElse: true}
	// approverTier is every local user: who may decide on what, the handler asks.
	approverTier = access{name: "User", tier: core.TierUser}
	runOfRequest = access{name: "JobRun", ownRequest: true}
)

// owns reports whether the caller is the plugin with this id, in any letter case
// (decision 7).
func (c caller) owns(plugin string) bool {
	return c.Kind == core.Plugin && strings.EqualFold(c.Name, plugin)
}

// permit decides whether the caller may use an operation at all.
func (s *Server) permit(c *call, a access) *Problem {
	switch {
	case a.ownRequest:
		// Launch and answer belong to the run that the service started for
		// that request, and never to what runs as a user (decisions 25, 27).
		if c.who.Kind == core.JobRun && !c.who.InUserSession && c.who.Request != "" {
			return nil
		}
		return problem(codeNotPermitted, "only the job run that was started for a request may ask for this")
	case a.tier == core.TierPublic:
		return nil
	case a.onlyPlugin != "":
		if c.who.Kind == core.Plugin && c.who.Name == a.onlyPlugin && !c.who.InUserSession {
			return nil
		}
		return problem(codeNotPermitted, "only plugin %s may ask for this", a.onlyPlugin)
	case c.who.bound:
		// A job's Http task has tier Plugin; what takes Admin, its file has to
		// list (decision 16).
		if c.granted = s.cfg.Jobs.Allowed(c.who.Principal, c.Method, c.path); c.granted || c.who.Tier() >= a.tier {
			return nil
		}
		return problem(codeNotPermitted,
			"job %s may not ask for %s %s: the allowedRequests of its file do not list it", c.who.Name, c.Method, c.path)
	case c.who.Tier() >= a.tier:
		return nil
	case a.ownPlugin && c.who.owns(c.values["plugin"]):
		return nil
	case a.ownSettings && c.who.owns(c.values["plugin"]) && !c.who.InUserSession:
		return nil
	case a.brokerKeys && c.who.Tier() >= core.TierUser && strings.EqualFold(c.values["plugin"], agentWide):
		return nil
	case a.adminElse:
		return c.who.below(core.TierAdmin)
	}
	return c.who.below(a.tier)
}
