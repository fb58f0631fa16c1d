package api

import "kpm/core"

// access says who may use an operation.
type access struct {
	// name is how openapi.json says it (x-tier).
	name string
	// tier is what a caller must reach.
	tier core.Tier
	// ownRequest is for job runs that were started for a request, whatever
	// their tier.
	ownRequest bool
	// ownPlugin also admits a plugin in a user's session to what is its own
	// ({plugin} is its id).
	ownPlugin bool
	// onlyPlugin, if not empty, is the one plugin that may.
	onlyPlugin string
	// adminElse marks operations whose handler asks for tier Admin but in cases
	// that it documents.
	adminElse bool
}

var (
	anyone               = access{name: "Public", tier: core.TierPublic}
	pluginTier           = access{name: "Plugin", tier: core.TierPlugin}
	pluginTierOrOwn      = access{name: "Plugin or own", tier: core.TierPlugin, ownPlugin: true}
	adminTier            = access{name: "Admin", tier: core.TierAdmin}
	adminOrPluginTrigger = access{name: "Admin or allowPluginTrigger", tier: core.TierPlugin, adminElse: true}
	runOfRequest         = access{name: "JobRun", ownRequest: true}
)

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
	case a.ownPlugin && c.who.Kind == core.Plugin && c.who.Name == c.values["plugin"]:
		return nil
	case a.adminElse:
		return c.who.below(core.TierAdmin)
	}
	return c.who.below(a.tier)
}
