package pam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckOpenPAM says what makes a file of OpenPAM's worth nothing, nil if it has what
// it must.
//
// Attack: to OpenPAM a chain in which no "required", "requisite" or "binding" module
// has failed is a success (openpam/lib/openpam_dispatch.c, its end). "auth sufficient
// pam_opendirectory.so" alone lets in who types anything. And a kind that a file does
// not have is taken from the one called other, which is nobody's decision about us.
// What another file is included for does not count, since we do not read that.
func CheckOpenPAM(text []byte) error {
	if strings.Contains(string(text), "\\") {
		return errors.New("it has a line that a backslash continues, which is not read here")
	}
	if err := checkRootOK(text); err != nil {
		return err
	}
	var decided []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(strings.ToLower(line))
		if len(words) < 3 {
			continue
		}
		switch words[1] {
		case "required", "requisite", "binding":
			decided = append(decided, words[0])
		}
	}
	for _, kind := range []string{"auth", "account"} {
		if !slices.Contains(decided, kind) {
			return fmt.Errorf("it has no line of its own with %q and \"required\", without which PAM would let everybody in, or nobody", kind)
		}
	}
	return nil
}
