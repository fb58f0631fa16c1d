package policy

// check is one of the filters of a rule, apart from the program, which the index
// has found.
type check uint8

// The checks, in the order in which a decision asks them: what costs least, and
// leaves most out, comes first.
const (
	checkOwn check = iota // what the policy's kind adds
	checkDates
	checkTimes
	checkDays
	checkRequester
	checkUsers
	checkTargets
	checkSigners
	checkRisk
	checkMachines
	checkJob
	checks // how many there are
)

var _ [16 - checks]struct{} // there is a bit for each in conditions.free

// meets says how much of the rule the question meets, if its program does with the
// given strength.
func (r *rule) meets(a *asked, by strength) strength {
	for c := range checks {
		if r.free&(1<<c) != 0 {
			continue
		}
		if by = min(by, r.check(c, a)); by == nothing {
			return nothing
		}
	}
	return by
}

// leaveOutNothing are the checks that every question meets fully, a bit each: most
// policies have few filters, and a decision asks no others.
func (c *conditions) leaveOutNothing() (free uint16) {
	for _, filter := range [...]struct {
		check check
		free  bool
	}{
		{checkDates, len(c.when.dates) == 0},
		{checkTimes, len(c.when.times) == 0},
		{checkDays, c.when.days == 0},
		{checkRequester, c.requesters == 0},
		{checkSigners, len(c.signed.entries) == 0 && !c.signed.open},
		{checkRisk, c.riskLevel == nil},
		{checkMachines, c.where.any && !c.where.open},
		{checkJob, c.job == ""},
	} {
		if filter.free {
			free |= 1 << filter.check
		}
	}
	return free
}

// check says how much of one filter the question meets. Decisions and their
// explanations both ask here.
func (r *rule) check(c check, a *asked) strength {
	switch c {
	case checkOwn:
		if r.own != nil {
			return r.own.match(*a)
		}
	case checkDates:
		return fullIf(len(r.when.dates) == 0 || r.when.onDate(a.when()))
	case checkTimes:
		return fullIf(len(r.when.times) == 0 || r.when.atTime(a.when().second))
	case checkDays:
		return fullIf(r.when.days == 0 || r.when.days&a.when().day != 0)
	case checkUsers:
		return r.who.match(a)
	case checkTargets:
		return r.whom.match(a)
	case checkSigners:
		return r.signed.match(a)
	case checkRisk:
		return r.risk(a)
	case checkMachines:
		return r.where.match(a)
	case checkRequester:
		return r.requester(a)
	case checkJob:
		return r.filterJob(a)
	}
	return full
}

// program says how the question's program meets the rule. The index finds the
// same without looking at every entry.
func (r *rule) program(a *asked) strength {
	by := nothing
	if r.open {
		by = restricts
	}
	for i := range r.programs {
		by = max(by, r.programs[i].match(a))
	}
	return by
}

// risk says how the risk of what is asked about meets RiskLevel: a grant is for
// risks up to it. A risk that nobody has told leaves nothing out, since tools
// write a RiskLevel into every policy.
func (r *rule) risk(a *asked) strength {
	if r.riskLevel != nil && a.q.Risk != nil && *a.q.Risk > *r.riskLevel {
		return restricts
	}
	return full
}

// requester says how who is behind the question meets RequestedBy. Who is not
// known may be any of them.
func (r *rule) requester(a *asked) strength {
	if r.requesters == 0 {
		return full
	}
	bit := requesterBit(a.q.RequestedBy)
	if bit == 0 {
		return restricts
	}
	return fullIf(r.requesters&bit != 0)
}

// filterJob says what the policy's filter job makes of the question. One that has
// not answered grants nothing, and what it belongs to restricts (decision 29).
func (r *rule) filterJob(a *asked) strength {
	if r.job == "" {
		return full
	}
	switch a.q.FilterAnswers[r.job] {
	case FilterPassed:
		return full
	case FilterFailed:
		return nothing
	}
	return restricts
}

func fullIf(met bool) strength {
	if met {
		return full
	}
	return nothing
}
