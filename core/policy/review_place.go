package policy

import (
	"fmt"
	"strings"

	"kpm/core/fault"
)

// place warns of a grant by a path that means more than it looks like: where users put
// programs of their own, and a "*" that goes through folders.
func (v *review) place(text string, prog *program) {
	if prog.kind != byPath && prog.kind != byPattern {
		return
	}
	whole := prog.text
	if prog.kind == byPattern {
		whole = prog.glob.prefix
	}
	if v.writable(whole) {
		v.say(Note, fmt.Sprintf("%s, in a folder that users can write to", fault.Text(text)), "a folder that only administrators can write to",
			"whoever can put a program there has it granted: name it by its hash, or by its signer in CertificationCheck")
		return
	}
	if g := &prog.glob; prog.kind == byPattern && g.prefix != "" && (strings.Contains(g.suffix, "/") || strings.Contains(strings.Join(g.middle, ""), "/")) {
		v.say(Note, fault.Text(text)+`, a "*" before the end of a path`, "the paths that are meant", `"*" stands for any number of folders, so the entry meets programs at every depth`)
	}
}

// userFolders are those that users can write to on every machine.
func (e *Environment) userFolders() []string {
	folders := []string{"/home/", "/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/Users/", "c:/users/", "c:/windows/temp/"}
	list := make([]string, len(folders))
	for i, folder := range folders {
		list[i] = e.fold(e.follow(folder))
	}
	return list
}
