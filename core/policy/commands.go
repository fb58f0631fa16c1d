package policy

import (
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/fault"
)

// allowList is the compiled AllowCommands.
type allowList struct {
	commands []command
	// open is true in a policy with DENY. Off the list a policy has nothing to
	// say, except that it is unclear what DENY with an allow list means, and what
	// is unclear restricts.
	open bool
}

func (l *allowList) match(a asked) strength {
	by := nothing
	if l.open {
		by = restricts
	}
	for i := range l.commands {
		if by = max(by, l.commands[i].match(&a)); by == full {
			break
		}
	}
	return by
}

// programs are those that the list names.
func (l *allowList) programs() (list []program) {
	for i := range l.commands {
		list = append(list, l.commands[i].program)
	}
	return list
}

// opened returns the arguments that are decided on as files, and so are handed
// over open; nil if a command is met that looks at the text alone. It reports
// false if no command is met any more.
func (l *allowList) opened(a asked) (first []core.PathArgument, met bool) {
	for i := range l.commands {
		list, ok := l.commands[i].opened(&a)
		if ok && list == nil {
			return nil, true
		}
		if ok && first == nil {
			first = list
		}
	}
	return first, first != nil
}

// command is one compiled entry of AllowCommands, read as in sudoers: the
// program, then its arguments word for word. Without arguments any are
// allowed; "*" inside a word stays inside it; "*" as the last word is any
// number of arguments, and stands nowhere else.
type command struct {
	program program
	words   []word
	rest    bool // further arguments are allowed
	star    bool // by "*" as the last word
}

// match says how the command line meets the entry: as its program does, if every
// word fits.
func (c *command) match(a *asked) strength {
	by := c.text(a)
	if by == nothing {
		return nothing
	}
	for i := range c.words { // last: the file system is asked
		if w := &c.words[i]; w.path {
			if _, met := w.leads(a.arguments[i], a); !met {
				return nothing
			}
		}
	}
	return by
}

// text is match, paths aside.
//
// Attack: the words are kept, and argv[0] makes the program another one, for
// which they mean something else. So they count only for a program that is
// called by its own name.
func (c *command) text(a *asked) strength {
	by := c.program.match(a)
	if by == nothing || len(c.words) > 0 && !a.ownName {
		return nothing
	}
	args := a.arguments
	if len(args) < len(c.words) || len(args) > len(c.words) && !c.rest {
		return nothing
	}
	for i := range c.words {
		if !c.words[i].match(args[i]) {
			return nothing
		}
	}
	if c.star {
		for _, arg := range args[len(c.words):] {
			if climbs(arg) {
				return nothing
			}
		}
	}
	return by
}

// opened is what the command's paths lead to, if it grants.
//
// Attack: a path is exchanged between match and this. So what is returned has
// been looked up once, and is what the entry is met by.
func (c *command) opened(a *asked) (list []core.PathArgument, met bool) {
	if c.text(a) != full {
		return nil, false
	}
	for i := range c.words {
		w := &c.words[i]
		if !w.path {
			continue
		}
		to, met := w.leads(a.arguments[i], a)
		if !met {
			return nil, false
		}
		list = append(list, core.PathArgument{Argument: i + 1, Offset: len(w.prefix), Path: to})
	}
	return list, true
}

func (elevation) compile(c *compiler, p *Policy) filter {
	entries, _ := p.Own.([]string)
	if p.Own == nil {
		return nil
	}
	list, before := &allowList{open: c.denies(p)}, c.doubts
	for i, entry := range entries {
		c.at("$.Extension.AllowCommands", i)
		if cmd, ok := c.command(entry); ok {
			list.commands = append(list.commands, cmd)
		}
	}
	// A list that cannot be read, is empty or in a policy of another type
	// restricts every command: nobody knows what it was to narrow.
	if c.doubts > before || len(entries) == 0 || p.Type != TypeCommandLine {
		return &allowList{open: true}
	}
	return list
}

func (c *compiler) command(entry string) (command, bool) {
	fields := strings.Fields(entry)
	if len(fields) == 0 || strings.ContainsAny(entry, "\"'\\`$;|&<>()\n") && c.env.Platform != core.Windows {
		c.doubt(fault.Text(entry), "words separated by spaces", `no shell reads this: use "*" within a word for an argument that holds spaces`)
		return command{}, false
	}
	prog, ok := c.program(fields[0])
	if !ok {
		return command{}, false
	}
	cmd, paths := command{program: prog, rest: len(fields) == 1}, 0
	for j, text := range fields[1:] {
		if text == "*" && j == len(fields)-2 {
			cmd.rest, cmd.star = true, true
			break
		}
		// Attack: "systemctl * cups" is meant for a few verbs, and "edit" opens an
		// editor as root. An option may stand there too.
		if strings.Trim(text, "*") == "" && j < len(fields)-2 {
			c.doubt(fault.Text(entry), `"*" as the last word alone`, "write the words that are meant, each in an entry of its own")
			return command{}, false
		}
		w, ok := c.word(text)
		if !ok {
			return command{}, false
		}
		if w.path {
			paths++
		}
		cmd.words = append(cmd.words, w)
	}
	if paths > core.MaxPathArguments {
		c.doubt(fault.Text(entry), fmt.Sprintf("at most %d arguments that are {path}", core.MaxPathArguments), "")
		return command{}, false
	}
	return cmd, true
}
