package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// runs warns of a command with fixed words that starts a shell for whoever asks, or
// a script that they can write. base is the name of its program.
func (v *review) runs(base, entry string) {
	const (
		shells       = "sh bash dash zsh fish ksh mksh csh tcsh pwsh"
		interpreters = "python perl ruby lua node nodejs php tclsh"
		wrappers     = "env nice ionice nohup timeout setsid stdbuf time taskset"
	)
	words := strings.Fields(entry)[1:]
	family := strings.TrimRight(base, "0123456789.-")
	switch {
	case slices.Contains(strings.Fields(wrappers), base):
		for i, word := range words {
			_, name := splitPath(word)
			if p := powerNamed(name); p == nil || strings.HasPrefix(word, "-") {
				continue
			}
			prog := program{kind: byName, text: name}
			if rest := strings.Join(words[i:], " "); len(words[i:]) == 1 {
				v.power(&prog, rest)
			} else {
				v.escape(&prog, rest)
			}
			return
		}
		return
	case base == "su" && !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "-c") || strings.HasPrefix(word, "--command") }):
		words = nil // a shell of the user who is named
	case !slices.Contains(strings.Fields(shells+" "+interpreters), family):
		v.usersFiles(base, entry, words)
		return
	}
	for _, word := range words {
		switch option := strings.HasPrefix(word, "-"); {
		case option && !strings.HasPrefix(word, "--") && strings.Trim(word[1:], "cem") != word[1:], strings.EqualFold(word, "-Command"), strings.EqualFold(word, "-File"), word == "--version":
			return // what it is told is among the words, or is a module
		case option:
		case strings.HasPrefix(word, "/") && !v.writable(word), strings.ContainsAny(word, "{$"):
			return
		default:
			v.say(Note, fault.Text(entry)+", with a script that users can write", "a script that only administrators can write to, by its whole path",
				"what the script says is not part of what is decided, so the grant gives all rights of the target user")
			return
		}
	}
	v.say(Note, fault.Text(entry), "a command that ends with what is meant", "it reads what to do from whoever asks, so the grant gives all rights of the target user (gtfobins.github.io)")
}

// usersFiles warns of a command that does what a file says, or writes one, where users
// can put another: systemctl link /home/web/x.service.
func (v *review) usersFiles(base, entry string, words []string) {
	p := powerNamed(base)
	if p == nil {
		return
	}
	for _, word := range words {
		if at := strings.IndexByte(word, '/'); at >= 0 && !strings.Contains(word, pathWord) && v.writable(word[at:]) {
			v.say(Note, fault.Text(entry)+", with a file that users can write", "one that only administrators can write to",
				p.how+", and what that is then is not part of what is decided ("+p.source+")")
			return
		}
	}
}

// writable reports whether a path lies in a folder that users can write to on every
// machine.
func (v *review) writable(path string) bool {
	return slices.ContainsFunc(v.env.userFolders(), func(folder string) bool { return strings.HasPrefix(v.env.fold(path), folder) })
}
