package task

import (
	"slices"
	"strings"

	"kpm/settings"
)

// argument is one argument as the job file has it: its text, and whether a token
// is in it.
type argument struct {
	text  string
	token bool
}

func argumentsOf(templates []settings.Template) []argument {
	var args []argument
	for _, template := range templates {
		var a argument
		for _, part := range template.Parts() {
			a.token = a.token || part.Token != ""
			if a.text += part.Literal; part.Token != "" {
				a.text += "{" + part.Token + "}"
			}
		}
		args = append(args, a)
	}
	return args
}

func holdTokens(args []argument) bool {
	return slices.ContainsFunc(args, func(a argument) bool { return a.token })
}

// inScript returns the first argument that is the text of a script and holds a
// token, and which program would run it. names are what the job's program is
// called, of which any may be an interpreter.
//
// Attack: a job runs sh -c "echo '{FilePath}'", and somebody calls a file
// x'; id; '. Tokens are filled in after arguments have been taken apart, but the
// shell takes its script apart again. No quoting is safe for every interpreter,
// so a token may not stand in a script at all (decision 39).
func inScript(names []string, args []argument) (index int, interpreter string, found bool) {
	if !holdTokens(args) {
		return 0, "", false
	}
	table := interpreters()
	for _, name := range names {
		if find := table[interpreterName(name)]; find != nil {
			if i := find(args); i >= 0 {
				return i, interpreterName(name), true
			}
		}
	}
	// Wherever the name of one stands, it may be run: by env, timeout, xargs,
	// find or busybox.
	for i, arg := range args {
		find := table[interpreterName(arg.text)]
		if find == nil || arg.token {
			continue
		}
		if j := find(args[i+1:]); j >= 0 {
			return i + 1 + j, interpreterName(arg.text), true
		}
	}
	return 0, "", false
}

// interpreterName is a program's name as the table has it: python3.11 and
// /usr/bin/python are one, as are cmd.exe and CMD.
func interpreterName(program string) string {
	program = strings.ToLower(program[strings.LastIndexAny(program, `/\`)+1:])
	program = strings.TrimSuffix(program, ".exe")
	if short := strings.TrimRight(program, "0123456789.-"); short != "" {
		return short
	}
	return program
}

// finder returns the first of an interpreter's arguments that is the text of a
// script and holds a token; -1 if there is none.
type finder func(args []argument) int

// options describes an interpreter that takes its script from an option.
type options struct {
	short string   // letters of the options that a script follows
	long  []string // their long names, which may be abbreviated
	exact []string // others, as they are written
	// file and fileLong name options that a file with the script follows;
	// values and valuesLong those that something else does. Letters in own take
	// the rest of their argument, ends those behind which nothing is the
	// interpreter's own any more.
	file, values, own, ends string
	fileLong, valuesLong    []string
	// operand is the number of the operand that is a script unless an option
	// gave one; -1 if none is.
	operand int
	// all says that behind a script everything is script.
	all bool
	// mixed says that options may follow operands. Otherwise the first operand
	// is the script's file, and the rest are its arguments.
	mixed bool
}

// What the next argument is.
const (
	anything = iota
	scriptText
	otherValue
)

func (o options) find(args []argument) int {
	next, operands := anything, 0
	given, rest, plain := false, false, false
	for i, a := range args {
		switch {
		case rest, next == scriptText:
			if a.token {
				return i
			}
			next, rest = anything, rest || o.all
		case next == otherValue:
			next = anything
		case !plain && a.text == "--":
			plain = true
		case !plain && slices.Contains(o.exact, a.text):
			next, given = scriptText, true
		case !plain && strings.HasPrefix(a.text, "--"):
			name, _, inside := strings.Cut(a.text[2:], "=")
			switch {
			case abbreviates(name, o.long):
				if given = true; !inside {
					next = scriptText
				} else if rest = o.all; a.token {
					return i
				}
			case abbreviates(name, o.fileLong):
				given = true
				fallthrough
			case abbreviates(name, o.valuesLong):
				if !inside {
					next = otherValue
				}
			}
		case !plain && len(a.text) > 1 && a.text[0] == '-':
			kind, inside := o.cluster(a.text[1:])
			switch {
			case kind == 's' && inside && a.token:
				return i
			case kind == 's':
				given = true
				if rest = o.all && inside; !inside {
					next = scriptText
				}
			case kind == 'e':
				return -1
			case kind == 'f' || kind == 'v':
				given = given || kind == 'f'
				if !inside {
					next = otherValue
				}
			}
		case o.operand >= 0 && !given && operands >= o.operand:
			if a.token {
				return i
			}
			given, rest = true, o.all
		case o.operand < 0 && !o.mixed:
			return -1
		default:
			operands++
		}
	}
	return -1
}

// cluster looks at short options that stand together, as in -ec: 's' for a
// script, 'f' for a file, 'v' for another value, 'e' for the end; inside says that
// it stands in the same argument.
func (o options) cluster(letters string) (kind byte, inside bool) {
	for j, letter := range letters {
		inside = j+len(string(letter)) < len(letters)
		switch {
		case strings.ContainsRune(o.short, letter):
			return 's', inside
		case strings.ContainsRune(o.file, letter):
			return 'f', inside
		case strings.ContainsRune(o.values, letter):
			return 'v', inside
		case strings.ContainsRune(o.ends, letter):
			return 'e', inside
		case strings.ContainsRune(o.own, letter):
			return 0, inside
		}
	}
	return 0, false
}

func abbreviates(name string, long []string) bool {
	return name != "" && slices.ContainsFunc(long, func(full string) bool { return strings.HasPrefix(full, name) })
}

// shell finds what a Unix shell runs: with -c, alone or in a cluster, the first
// operand. Options with a value of their own may stand between the two.
func shell(args []argument) int {
	script, skip := false, 0
	for i, a := range args {
		option := len(a.text) > 1 && (a.text[0] == '-' || a.text[0] == '+')
		switch {
		case skip > 0:
			skip--
		case option && strings.HasPrefix(a.text, "--"):
			if a.text == "--rcfile" || a.text == "--init-file" {
				skip = 1
			}
		case option:
			script = script || a.text[0] == '-' && strings.ContainsRune(a.text, 'c')
			skip = strings.Count(a.text, "o") + strings.Count(a.text, "O")
			if script && a.token { // "-c{X}": whatever follows the letter
				return i
			}
		case script && a.token:
			return i
		default:
			return -1 // $0 and so on, or a script's file
		}
	}
	return -1
}

// commandPrompt finds what cmd.exe runs: all that follows /c, /k or /r.
func commandPrompt(args []argument) int {
	for i, a := range args {
		text := strings.ToLower(a.text)
		if strings.HasPrefix(text, "/") && (strings.Contains(text, "/c") || strings.Contains(text, "/k") || strings.Contains(text, "/r")) {
			return firstToken(args, i)
		}
	}
	return -1
}

func firstToken(args []argument, from int) int {
	for i := from; i < len(args); i++ {
		if args[i].token {
			return i
		}
	}
	return -1
}

// powerShell finds what PowerShell runs: all that follows -Command, in each of
// its abbreviations. Without an option Windows PowerShell takes a command,
// PowerShell 7 a file.
func powerShell(commandFirst bool) finder {
	prefix := func(name string, full ...string) bool { return abbreviates(name, full) }
	return func(args []argument) int {
		for i := 0; i < len(args); i++ {
			text := strings.ToLower(args[i].text)
			name, option := strings.TrimLeft(text, "-/"), strings.HasPrefix(text, "-") || strings.HasPrefix(text, "/")
			switch {
			case !option && commandFirst:
				return firstToken(args, i)
			case !option, prefix(name, "file"):
				return -1
			case name == "cwa" || len(name) > len("command") && prefix(name, "commandwithargs"):
				if i+1 < len(args) && args[i+1].token {
					return i + 1
				}
				return -1
			case strings.HasPrefix(name, "ex") && prefix(name, "executionpolicy"), name == "ep",
				prefix(name, "windowstyle", "version", "inputformat", "outputformat", "configurationname", "configurationfile",
					"psconsolefile", "workingdirectory", "settingsfile", "custompipename") && !prefix(name, "command"):
				i++
			case prefix(name, "command", "encodedcommand"), name == "ec":
				return firstToken(args, i)
			}
		}
		return -1
	}
}
