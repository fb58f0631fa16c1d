package policy

import (
	"strings"

	"kpm/core"
	"kpm/core/fault"
)

// The policy types that answer whether a person may run a program with
// administrator rights, both together (decision 30).
const (
	TypePrivilegeElevation = "PrivilegeElevation"
	TypeCommandLine        = "CommandLine"
)

// elevation is the kind of question that keepersudo asks. Policies of type
// CommandLine may narrow themselves to an allow list of commands.
type elevation struct{}

func (elevation) extension() []string { return []string{"AllowCommands"} }

// read sets Own to AllowCommands, a []string; an unset list leaves it nil.
func (elevation) read(r *reader, p *Policy, extension fields) {
	v, given := extension.filled("AllowCommands")
	if !given {
		return
	}
	commands := append([]string{}, r.texts(v, "$.Extension.AllowCommands")...)
	p.Own = commands
	switch {
	case p.Type != TypeCommandLine:
		r.doubt(v, "$.Extension.AllowCommands", "an allow list in a "+p.Type+" policy", "one of type CommandLine", "")
	case len(commands) == 0:
		r.doubt(v, "$.Extension.AllowCommands", "an empty list", "commands", "leave the key out to mean all commands")
	}
}

// everyProgram is the documented exception: an empty ApplicationCheck of
// CommandLine means all elevated commands (decision 29).
func (elevation) everyProgram(p *Policy) bool { return p.Type == TypeCommandLine }

// own is empty: an elevation asks for nothing beyond a program and its
// arguments.
func (elevation) own(any) (any, bool) { return nil, true }

// allowList is the compiled AllowCommands.
type allowList struct {
	commands []command
	// open is true if the list restricts every command. Off the list a policy
	// has nothing to say, except that it is unclear what DENY with an allow list
	// means, or a list that is empty, elsewhere than it belongs, or has an entry
	// that cannot be read; and what is unclear restricts.
	open bool
}

func (l *allowList) match(a asked) strength {
	for i := range l.commands {
		if l.commands[i].match(&a) {
			return full
		}
	}
	if l.open {
		return restricts
	}
	return nothing
}

// command is one compiled entry of AllowCommands, read as in sudoers: the
// program, then its arguments word for word. Without arguments any are
// allowed; "*" inside a word stays inside it; "*" as the last word is any
// number of arguments.
type command struct {
	program program
	words   []glob
	rest    bool // further arguments are allowed
}

// Attack: the words are kept, and argv[0] makes the program another one, for
// which they mean something else. So they count only for a program that is
// called by its own name.
func (c *command) match(a *asked) bool {
	if c.program.match(a) != full || len(c.words) > 0 && !a.ownName {
		return false
	}
	args := a.arguments
	if len(args) < len(c.words) || len(args) > len(c.words) && !c.rest {
		return false
	}
	for i := range c.words {
		if !c.words[i].match(args[i]) {
			return false
		}
	}
	return true
}

func (elevation) compile(c *compiler, p *Policy) filter {
	if p.Own == nil {
		return nil
	}
	entries, _ := p.Own.([]string) // anything else allows no command
	list := &allowList{open: c.denies(p) || len(entries) == 0 || p.Type != TypeCommandLine}
	for i, entry := range entries {
		c.at("$.Extension.AllowCommands", i)
		words := strings.Fields(entry)
		if strings.ContainsAny(entry, "\"'\\`$;|&<>()\n") && c.env.Platform != core.Windows {
			c.doubt(fault.Text(entry), "words separated by spaces", `no shell reads this: use "*" within a word for an argument that holds spaces`)
			list.open = true
			continue
		}
		prog, ok := c.program(words[0])
		if !ok {
			list.open = true
			continue
		}
		cmd := command{program: prog, rest: len(words) == 1}
		for j, word := range words[1:] {
			if word == "*" && j == len(words)-2 {
				cmd.rest = true
				break
			}
			cmd.words = append(cmd.words, parseGlob(word))
		}
		list.commands = append(list.commands, cmd)
	}
	return list
}
