package windows

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"kpm/core"
)

// A program on Windows is given one string and takes it apart by itself. What
// follows is the only place where argv becomes that string; its inverse is in
// the test, and CommandLineToArgvW is asked as well.

// maxCommandLine is CreateProcessW's limit in UTF-16 units, the ending NUL
// included.
const maxCommandLine = 32767

// maxEnvironment bounds an environment block, in UTF-16 units.
const maxEnvironment = 1 << 20

// Errors of what cannot be told to a program.
var (
	ErrNoArgv      = core.NewError(core.Invalid, "no argv: programs count on argv[0] (CVE-2021-4034)")
	ErrNotText     = core.NewError(core.Invalid, "not Unicode text without NUL: what was approved and what would arrive could differ")
	ErrProgramName = core.NewError(core.Invalid, `programs disagree about an argv[0] with a quote in it, or that ends in \`)
	ErrTooLong     = core.NewError(core.TooLarge, "longer than Windows passes to a program; write it into a file that the program reads")
	ErrVariable    = core.NewError(core.Invalid, "not of the form NAME=value")
)

// commandLine joins argv so that every program that follows the rules of
// CommandLineToArgvW, the C runtime or Go takes it apart into argv again
// (learn.microsoft.com, "Parsing C command-line arguments").
//
// Attack: an argument that ends in a backslash or holds a quote becomes two, or
// swallows the next one, and the program does what no policy has seen.
func commandLine(argv []string) (string, error) {
	if len(argv) == 0 {
		return "", ErrNoArgv
	}
	var line strings.Builder
	units := len(argv) // a separator each, and the NUL
	for i, arg := range argv {
		if !text(arg) {
			return "", fmt.Errorf("argument %d: %w", i, ErrNotText)
		}
		if i == 0 {
			// The program name is not unescaped: a quote ends it, a backslash is one.
			if strings.Contains(arg, `"`) || strings.HasSuffix(arg, `\`) {
				return "", fmt.Errorf("argument 0: %w", ErrProgramName)
			}
		} else {
			line.WriteByte(' ')
		}
		quoted := quote(arg)
		units += utf16Len(quoted)
		if units > maxCommandLine {
			return "", fmt.Errorf("arguments up to the %d. of %d need more than %d characters: %w", i, len(argv)-1, maxCommandLine-1, ErrTooLong)
		}
		line.WriteString(quoted)
	}
	return line.String(), nil
}

// quote returns arg as it stands in a command line.
func quote(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n\v\"") {
		return arg
	}
	var out strings.Builder
	out.WriteByte('"')
	backslashes := 0
	for i := range len(arg) {
		switch arg[i] {
		case '\\':
			backslashes++
		case '"': // backslashes before a quote are doubled, and the quote has one of its own
			out.WriteString(strings.Repeat(`\`, backslashes+1))
			backslashes = 0
		default:
			backslashes = 0
		}
		out.WriteByte(arg[i])
	}
	out.WriteString(strings.Repeat(`\`, backslashes)) // before the closing quote
	out.WriteByte('"')
	return out.String()
}

// text reports whether Windows, and a policy, can only read s in one way. Half a
// surrogate pair would arrive; in a policy's eyes it is U+FFFD.
func text(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// environment returns the variables as CreateProcessW wants them: sorted by
// name, no matter the case, each name once. Of several of one name the last
// counts.
func environment(env []string) ([]string, error) {
	byName := map[string]string{}
	for _, entry := range env {
		name, err := variable(entry)
		if err != nil {
			return nil, fmt.Errorf("environment: %q: %w", name, err)
		}
		byName[strings.ToUpper(name)] = entry
	}
	names, units := make([]string, 0, len(byName)), 1
	for name, entry := range byName {
		names = append(names, name)
		units += utf16Len(entry) + 1
	}
	if units > maxEnvironment {
		return nil, fmt.Errorf("environment: %d variables of %d characters: %w", len(names), units, ErrTooLong)
	}
	slices.Sort(names)
	sorted := make([]string, len(names))
	for i, name := range names {
		sorted[i] = byName[name]
	}
	return sorted, nil
}

// variable returns the name of NAME=value.
func variable(entry string) (string, error) {
	name, _, ok := strings.Cut(entry, "=")
	switch {
	case !text(entry):
		return name, ErrNotText
	case !ok || name == "":
		return entry, ErrVariable
	}
	return name, nil
}

// withVariables returns a user's own variables and then ours, which win. Users can
// give themselves any: one that is malformed would keep all of their programs from
// starting.
func withVariables(own, ours []string) []string {
	var all []string
	for _, entry := range own {
		if _, err := variable(entry); err == nil {
			all = append(all, entry)
		}
	}
	return append(all, ours...)
}

// batch reports whether CreateProcessW would start cmd.exe for path.
//
// Attack (CVE-2024-24576): cmd.exe takes a command line apart by rules of its
// own, so that an argument of a batch file becomes a command.
func batch(path string) bool {
	path = strings.ToLower(strings.TrimRight(path, " ."))
	return strings.HasSuffix(path, ".bat") || strings.HasSuffix(path, ".cmd")
}
