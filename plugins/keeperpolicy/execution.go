package keeperpolicy

import (
	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
)

// execution answers what is asked right before a program runs: whether somebody may
// execute it, or whether an allowed command may start it. Filter jobs take longer
// than a program can be held up, so none has answered: their policies restrict, and
// grant nothing.
func (e *engine) execution(response *wire.PolicyResponse, q wire.PolicyRequest, asked policy.Question, force *inForce) {
	var d core.Decision
	if q.Parent == nil {
		d = force.set.DecideExecution(asked)
		response.Unrestricted = !force.set.RestrictsExecution(asked)
	} else {
		parent, ok := e.question(*q.Parent, force)
		if !ok || understood(*q.Parent) != nil {
			response.Message = malformed
			return
		}
		// It was allowed, so those of its grants passed.
		parent.FilterAnswers = map[string]policy.FilterAnswer{}
		for _, job := range force.set.FilterJobs(parent) {
			parent.FilterAnswers[job] = policy.FilterPassed
		}
		d = force.set.DecideChild(parent, asked, q.Satisfied)
	}
	response.Decision, response.Controls, response.Message, response.Policies = d.Outcome, d.Controls, d.Message, d.Policies[:min(len(d.Policies), maxNamed)]
}
