package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core/controls"
	"kpm/core/fault"
)

// Facts is what a review asks about the machine that it runs on.
type Facts struct {
	// User and Group report whether there is one of that name.
	User, Group func(name string) bool
	// UserID and GroupID report whether there is one of that id.
	UserID, GroupID func(id string) bool
	// Program follows a path with every link. It reports false if there is
	// nothing, and whether what is there is a folder.
	Program func(path string) (to string, folder, exists bool)
	// Own reports whether a file is for this machine alone, so that a name that the
	// machine does not know is nobody's; nil if that cannot be told.
	Own func(file string) bool
	// TrustsNobody is set where the agent's settings are known to name no signer.
	TrustsNobody bool
	// Job reports whether there is a job of that id; nil if that cannot be told.
	Job func(id string) bool
	// Now is the time on the machine's clock; zero if it does not matter.
	Now time.Time
}

// Review says what an author would want to know about policies that can be read,
// and that costs too much to find out whenever they are: names that this machine
// does not know, and grants that give more than they look like. A Doubt of a
// review is about something that grants nothing, whatever the policy says.
func (e *Engine) Review(policies []Policy, env Environment, facts Facts) []Finding {
	c := &compiler{env: &env, table: e.controls}
	v := &review{compiler: c, facts: facts, directories: env.directories()}
	for i := range policies {
		p := &policies[i]
		c.policy = p
		c.kept = p.Type != "" && !slices.Contains(answeredTypes(e.kinds), p.Type)
		v.people("$.UserCheck", p.Users)
		v.people("$.TargetUserCheck", p.Targets)
		v.approvers(p)
		v.controls(p)
		v.programs(p)
		v.commands(p)
		v.signers(p)
		v.filterJob(p)
	}
	v.together(e, policies)
	return v.found
}

type review struct {
	*compiler
	facts       Facts
	directories []string // the secure path
	found       []Finding
}

func (v *review) say(s Severity, found, expected, remedy string) {
	if v.kept {
		s = Note
	}
	v.findings = nil
	v.find(s, v.policy, v.path, found, expected, remedy)
	v.found = append(v.found, v.findings...)
}

// people looks at names in a filter of users.
func (v *review) people(filter string, entries []string) {
	unknown := Note
	if v.facts.Own != nil && v.facts.Own(v.policy.File) {
		unknown = Doubt
	}
	for i, entry := range entries {
		v.at(filter, i)
		if group, is := strings.CutPrefix(entry, "%"); is && unknown == Doubt && v.env.MissingGroup != nil && v.env.MissingGroup(group) {
			v.say(Doubt, fault.Text(entry)+", whom this machine does not know", "a group of this machine", "correct the name: as long as there is none, the policy restricts everyone and grants nobody")
		}
		// Whoever has no account may be let in all the same (Requests:AllowUnknownUsers).
		if id, is := strings.CutPrefix(entry, "%#"); is && !v.facts.GroupID(id) {
			v.say(Note, fault.Text(entry)+", whom this machine does not know", "a group", "correct the number, unless the policy is for another machine")
		} else if id, is := strings.CutPrefix(entry, "#"); is && !v.facts.UserID(id) {
			v.say(Note, fault.Text(entry)+", whom this machine does not know", "a user", "correct the number, unless the policy is for another machine")
		}
		if _, isCollection := v.env.Collections[entry]; isCollection || entry == "*" || strings.ContainsAny(entry, `#%\@*?`) || looksLikeUID(entry) {
			continue
		}
		switch {
		case v.facts.User(entry):
		case v.facts.Group(entry):
			v.say(unknown, fault.Text(entry)+", a group of this machine and no user", fmt.Sprintf("%q", "%"+entry), "a group is written with %")
		default:
			v.say(unknown, fault.Text(entry)+", whom this machine does not know", "a user", "correct the name, unless the policy is for another machine")
		}
	}
}

// signers warns of a filter that nothing can meet, since no signer is trusted.
func (v *review) signers(p *Policy) {
	if len(p.Certificates) == 0 || !v.facts.TrustsNobody {
		return
	}
	severity := Note
	if v.facts.Own != nil && v.facts.Own(p.File) {
		severity = Doubt
	}
	v.path = "$.CertificationCheck"
	v.say(severity, "signers, and this machine trusts none", "somebody to trust in appsettings.json",
		"name them in Trust or Settings:AlternativeSignatures: until then the policy grants nothing, and its DENY and controls hold for every program")
}

// filterJob looks for the job by which the policy applies.
func (v *review) filterJob(p *Policy) {
	if p.FilterJob == "" || v.facts.Job == nil || v.facts.Job(p.FilterJob) {
		return
	}
	v.path = "$.Extension.CustomFilterJobId"
	v.say(Doubt, fault.Text(p.FilterJob)+", a job that this machine does not have", "a job of Jobs/", "nobody answers for it: the policy grants nothing, and its DENY holds for everyone whom it meets otherwise")
}

func (v *review) controls(p *Policy) {
	for i, control := range p.Controls {
		v.at("$.Actions.OnSuccess.Controls", i)
		for _, row := range v.table {
			switch {
			case row.Name != control:
			case row.Effect == controls.Required && row.Verified == "":
				v.say(Doubt, string(control)+", which nothing here verifies yet", "a control that this release has", "what the policy meets is refused until it has; "+v.built()+" can be asked for")
			case row.Effect == controls.Remarks:
				v.say(Note, string(control)+", which does nothing yet", "a control that this release has", "it neither grants nor denies; every request is in the journal anyway")
			}
		}
	}
}

// built lists the controls that can be asked for.
func (v *review) built() string {
	var names []string
	for _, row := range v.table {
		if row.Effect == controls.Required && row.Verified != "" {
			names = append(names, string(row.Name))
		}
	}
	return strings.Join(names, ", ")
}

// wantsToGrant reports whether p has a control that grants and none that denies.
func (v *review) wantsToGrant(p *Policy) bool {
	wants := false
	if v.kept {
		return false
	}
	for _, control := range p.Controls {
		effect := v.table.Effect(control)
		if effect == controls.Denies {
			return false
		}
		wants = wants || effect == controls.Grants || effect == controls.Required
	}
	return wants
}

// programs looks at ApplicationCheck.
func (v *review) programs(p *Policy) {
	_, narrowed := p.Own.([]string)
	if p.Type == TypeCommandLine && len(p.Applications) == 0 && !narrowed && v.wantsToGrant(p) {
		v.path = "$.ApplicationCheck"
		v.power(&program{kind: byAnything}, "") // all elevated commands
	}
	for i, entry := range p.Applications {
		v.at("$.ApplicationCheck", i)
		for _, text := range v.values(entry) {
			prog, ok := v.program(text)
			if !ok {
				continue // said by Compile
			}
			v.whether(p, text, &prog)
			if p.Type != TypeFileAccess && v.wantsToGrant(p) {
				v.place(text, &prog)
			}
			if !narrowed && v.wantsToGrant(p) {
				v.power(&prog, "")
			}
		}
	}
}

func (v *review) values(entry string) []string {
	if named, isCollection := v.env.Collections[entry]; isCollection {
		return named.Values
	}
	if looksLikeUID(entry) {
		return nil
	}
	return []string{entry}
}

// whether looks whether a program is there, and is what it is called.
func (v *review) whether(p *Policy, text string, prog *program) {
	candidates := []string{prog.text}
	if v.words(text) {
		return
	}
	switch prog.kind {
	case byPath:
	case byName:
		candidates = candidates[:0]
		for _, dir := range v.directories {
			candidates = append(candidates, dir+"/"+prog.text)
		}
	default:
		return
	}
	for _, path := range candidates {
		to, folder, exists := v.facts.Program(path)
		_, base := splitPath(to)
		switch {
		case !exists:
			continue
		case folder:
			v.say(Note, fault.Text(text)+", a folder", fmt.Sprintf("%q", strings.TrimSuffix(text, "/")+"/*"), "as it stands the entry meets no program")
		case prog.kind == byPath && v.env.follow(to) == prog.text, prog.kind == byName && base == prog.text:
		case v.wantsToGrant(p):
			v.say(Doubt, fmt.Sprintf("%s, a link to %s", fault.Text(text), to), fmt.Sprintf("%q", to), "a grant means the program itself, and the entry grants nothing")
		default:
			v.say(Note, fmt.Sprintf("%s, a link to %s", fault.Text(text), to), fmt.Sprintf("%q", to), "the entry meets that program by each of its names")
		}
		return
	}
	remedy := "correct the path, unless the policy is for another machine"
	if strings.Contains(text, " ") {
		remedy += "; arguments go into Extension.AllowCommands of a CommandLine policy"
	}
	v.say(Note, fault.Text(text)+", which is not on this machine", "a program", remedy)
}

// words warns of an entry that is a whole command, and reports whether it is.
func (v *review) words(text string) bool {
	program, _, more := strings.Cut(text, " ")
	if _, _, whole := v.facts.Program(text); !more || whole {
		return false
	}
	first, ok := v.program(program)
	if !ok || !v.exists(&first) {
		return false
	}
	v.say(Doubt, fault.Text(text)+", a program with arguments", fmt.Sprintf("%q", program), "arguments go into Extension.AllowCommands of a CommandLine policy; as it stands the entry meets nothing")
	return true
}

func (v *review) exists(prog *program) bool {
	if prog.kind == byPath {
		_, _, exists := v.facts.Program(prog.text)
		return exists
	}
	return prog.kind == byName && slices.ContainsFunc(v.directories, func(dir string) bool {
		_, _, exists := v.facts.Program(dir + "/" + prog.text)
		return exists
	})
}

// commands looks at AllowCommands. Lists that other types have of their own are of
// people and of folders.
func (v *review) commands(p *Policy) {
	entries, _ := p.Own.([]string)
	switch p.Type {
	case TypeLeastPrivilege:
		v.people("$.Extension.Exclusions", entries)
		return
	case TypeFileAccess:
		return
	}
	for i, entry := range entries {
		v.at("$.Extension.AllowCommands", i)
		cmd, ok := v.command(entry)
		if !ok {
			continue
		}
		if !v.reachable(p, &cmd.program) {
			v.say(Doubt, fault.Text(entry)+", for a program that ApplicationCheck leaves out", "the same program in both", "the entry is never met")
			continue
		}
		text, _, _ := strings.Cut(strings.TrimSpace(entry), " ")
		v.whether(p, text, &cmd.program)
		switch {
		case !v.wantsToGrant(p):
		case cmd.rest:
			v.power(&cmd.program, entry)
		default:
			v.escape(&cmd.program, entry)
		}
	}
}

// reachable reports whether a program of AllowCommands can be one of
// ApplicationCheck.
func (v *review) reachable(p *Policy, prog *program) bool {
	if len(p.Applications) == 0 || prog.kind != byPath && prog.kind != byName {
		return true
	}
	_, base := splitPath(prog.text)
	for _, entry := range p.Applications {
		for _, text := range v.values(entry) {
			other, ok := v.program(text)
			if !ok {
				return true // Compile says what it is
			}
			switch {
			case other.kind == byName && other.text == base, other.kind == byNamePattern && other.glob.match(base), other.kind == byAnything, other.kind == byHash:
				return true
			case prog.kind == byPath && other.is(prog.text):
				return true
			case prog.kind == byName && other.kind == byPattern && other.meetsName(prog.text, v.directories):
				return true
			case prog.kind == byName && other.kind == byPath:
				if _, otherBase := splitPath(other.text); otherBase == base {
					return true
				}
			}
		}
	}
	return false
}
