package pam

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// ErrAsksNobody is what is wrong with a file that lets in everybody unasked. Sessions
// are as well opened by it.
var ErrAsksNobody = errors.New(`it has "auth" with pam_rootok.so, which lets everybody in: who asks PAM here is root`)

// checkRootOK returns ErrAsksNobody of a file with pam_rootok among those that say who
// somebody is.
//
// Attack: the file is a copy of su's, whose first line spares root a question. It is
// keeperpam that is root, and whoever is asked again who they are is not asked.
func checkRootOK(text []byte) error {
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(strings.ToLower(line))
		if len(words) == 0 || strings.TrimPrefix(words[0], "-") != "auth" {
			continue
		}
		if slices.ContainsFunc(words, func(word string) bool {
			name, _, _ := strings.Cut(path.Base(word), ".")
			return name == "pam_rootok"
		}) {
			return ErrAsksNobody
		}
	}
	return nil
}
