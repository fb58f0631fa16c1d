package policy

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/fault"
)

// describeProgram says what the question's program is, and what else it was
// called.
func (a *asked) describeProgram() string {
	text := fault.Text(a.path)
	if a.q.Requested != "" && a.q.Requested != a.path {
		text += ", asked for as " + fault.Text(a.q.Requested)
	}
	if len(a.links) > 0 {
		text += ", to which lead " + quoted(a.links)
	}
	return text
}

// describeCheck says what a filter wants and what the question has.
func describeCheck(c check, p *Policy, a *asked) (name string, wanted []string, found string) {
	switch c {
	case checkOwn:
		own, _ := p.Own.([]string)
		if p.Type == TypeFileAccess {
			return "Extension.Folders", own, a.describeProgram()
		}
		return "Extension.AllowCommands", own, a.describeCommand()
	case checkDates:
		for _, d := range p.Dates {
			wanted = append(wanted, d.String())
		}
		return "DateCheck", wanted, a.q.Time.Format("2006-01-02")
	case checkTimes:
		for _, t := range p.Times {
			wanted = append(wanted, t.String())
		}
		return "TimeCheck", wanted, a.q.Time.Format("15:04:05")
	case checkDays:
		for day := range 7 {
			if p.Days&(1<<day) != 0 {
				wanted = append(wanted, time.Weekday(day).String())
			}
		}
		return "DayCheck", wanted, a.q.Time.Weekday().String()
	case checkUsers:
		return "UserCheck", p.Users, a.describeUser()
	case checkTargets:
		wanted = p.Targets
		if len(wanted) == 0 {
			wanted = []string{"the administrator"}
		}
		return "TargetUserCheck", wanted, fmt.Sprintf("%s (#%s)", fault.Text(a.target), a.q.Target)
	case checkSigners:
		return "CertificationCheck", p.Certificates, a.describeSigners()
	case checkRisk:
		if p.RiskLevel != nil {
			wanted = []string{fmt.Sprintf("at most %d", *p.RiskLevel)}
		}
		if a.q.Risk == nil {
			return "RiskLevel", wanted, "none told"
		}
		return "RiskLevel", wanted, fmt.Sprint(*a.q.Risk)
	case checkRequester:
		return "Extension.RequestedBy", p.RequestedBy.names(), cmp.Or(string(a.q.RequestedBy), "not known")
	case checkJob:
		if p.FilterJob != "" {
			wanted = []string{p.FilterJob}
		}
		return "Extension.CustomFilterJobId", wanted, [...]string{"no answer", "it passes", "it does not pass"}[a.q.FilterAnswers[p.FilterJob]]
	case checkMachines:
		return "MachineCheck", p.Machines, cmp.Or(a.machine, "no name")
	}
	return "", nil, ""
}

func (a *asked) describeCommand() string {
	words := make([]string, 0, len(a.arguments)+1)
	words = append(words, a.base)
	words = append(words, a.arguments...)
	text := quoted(words)
	if !a.ownName && len(a.q.Arguments) > 0 {
		text += ", called " + fault.Text(a.q.Arguments[0])
	}
	return text
}

func (a *asked) describeUser() string {
	text := fmt.Sprintf("%s (#%s)", fault.Text(a.name), a.user)
	if len(a.q.OtherNames) > 0 {
		text += ", also called " + quoted(a.q.OtherNames)
	}
	if len(a.q.GroupNames)+len(a.q.Groups) > 0 {
		text += ", in the groups " + quoted(a.q.GroupNames) + " (" + strings.Join(a.q.Groups, ", ") + ")"
	}
	if len(a.q.DoubtfulGroups) > 0 {
		text += ", doubtful: " + quoted(a.q.DoubtfulGroupNames) + " (" + strings.Join(a.q.DoubtfulGroups, ", ") + ")"
	}
	if a.q.GroupsUnknown {
		text += ", and perhaps in more"
	}
	return text
}

func (a *asked) describeSigners() string {
	switch {
	case !a.q.SignersKnown:
		return "signatures were not read"
	case len(a.q.Signers) == 0:
		return "no trusted signer"
	}
	names := make([]string, len(a.q.Signers))
	for i, s := range a.q.Signers {
		names[i] = signerName(s)
	}
	return strings.Join(names, "; ")
}

func signerName(s core.Signer) string {
	text := fault.Text(s.Subject)
	if s.SPKI != "" {
		text += " spki:" + s.SPKI
	}
	for _, authority := range s.Authorities {
		text += " ca:" + authority
	}
	return text
}

func quoted(words []string) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = fault.Text(w)
	}
	return strings.Join(list, " ")
}

// String is the span as it is written in a policy.
func (d DateRange) String() string {
	if d.Instants {
		instant := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
		switch {
		case d.FromMS == math.MinInt64/2:
			return "until " + instant(d.ToMS)
		case d.ToMS == math.MaxInt64/2-1:
			return "from " + instant(d.FromMS)
		}
		return instant(d.FromMS) + " to " + instant(d.ToMS)
	}
	day := func(c civilDay) string { return fmt.Sprintf("%04d-%02d-%02d", c.year, c.month, c.day) }
	return day(d.FirstDay) + " to " + day(d.LastDay)
}

// String is the span on a clock.
func (t TimeRange) String() string {
	clock := func(s int) string { return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60) }
	return clock(t.From) + " to " + clock(t.To)
}
