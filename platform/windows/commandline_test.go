package windows

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"
)

// split is the inverse of commandLine: the rules of CommandLineToArgvW, written
// from their description.
func split(line string) []string {
	var argv []string
	var arg strings.Builder
	if rest, quoted := strings.CutPrefix(line, `"`); quoted {
		name, after, _ := strings.Cut(rest, `"`)
		argv, line = append(argv, name), after
	} else {
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		argv, line = append(argv, line[:end]), line[end:]
	}
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return argv
		}
		inside := false
		for line != "" && (inside || line[0] != ' ' && line[0] != '\t') {
			slashes := len(line) - len(strings.TrimLeft(line, `\`))
			line = line[slashes:]
			if !strings.HasPrefix(line, `"`) {
				arg.WriteString(strings.Repeat(`\`, slashes))
				if slashes == 0 {
					arg.WriteByte(line[0])
					line = line[1:]
				}
				continue
			}
			arg.WriteString(strings.Repeat(`\`, slashes/2))
			if slashes%2 == 1 {
				arg.WriteByte('"')
			} else {
				inside = !inside
			}
			line = line[1:]
		}
		argv = append(argv, arg.String())
		arg.Reset()
	}
}

// oddArguments are what goes wrong elsewhere.
var oddArguments = []string{
	"", " ", "a b", `"`, `\`, `\\`, `a\`, `a b\`, `a b\\`, `\"`, `\\"`, `a"b`, `"a b"`, "\t", "\n", "\v", "a\vb", `%PATH%`, `^&|<>`,
	"'", "*", "$(id)", "ä", "\U0001f600", "/x", `C:\Program Files\`, `\\?\C:\`, "日本 語",
}

func TestCommandLineIsTakenApartAgain(t *testing.T) {
	for _, first := range []string{`C:\a\b.exe`, `C:\Program Files\b.exe`, "", "x"} {
		argv := append([]string{first}, oddArguments...)
		line, err := commandLine(argv)
		if err != nil || !slices.Equal(split(line), argv) {
			t.Errorf("%q became %q, which is %q: %v", argv, line, split(line), err)
		}
	}
}

func TestCommandLineOfAnyArguments(t *testing.T) {
	// Few letters, so that the ones that matter meet each other.
	const letters = "\"\\ \ta"
	property := func(raw [][]byte) bool {
		argv := []string{"program"}
		for _, arg := range raw {
			for i := range arg {
				arg[i] = letters[int(arg[i])%len(letters)]
			}
			argv = append(argv, string(arg))
		}
		line, err := commandLine(argv)
		return err == nil && slices.Equal(split(line), argv)
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 1000}); err != nil {
		t.Error(err)
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, arg := range oddArguments {
		f.Add("program", arg, `a"`)
	}
	f.Fuzz(func(t *testing.T, first, second, third string) {
		argv := []string{first, second, third}
		line, err := commandLine(argv)
		if err != nil {
			if utf8.ValidString(first+second+third) && !strings.ContainsAny(first+second+third, "\x00") &&
				!strings.ContainsAny(first, `"\`) && len(line) < 10000 && !errors.Is(err, ErrTooLong) {
				t.Errorf("%q: %v", argv, err)
			}
			return
		}
		// A name that begins at a blank is quoted; none needs unescaping.
		if got := split(line); !slices.Equal(got, argv) {
			t.Errorf("%q became %q, which is %q", argv, line, got)
		}
	})
}

func TestCommandLineRefuses(t *testing.T) {
	long := strings.Repeat("x", maxCommandLine-1)
	for _, tc := range []struct {
		what string
		argv []string
		want error
	}{
		{"nothing", nil, ErrNoArgv},
		{"a NUL", []string{"a", "b\x00c"}, ErrNotText},
		{"half a surrogate pair", []string{"a", "\xed\xa0\x80"}, ErrNotText},
		{"bytes that are no text", []string{"a", "\xff"}, ErrNotText},
		{"a name with a quote", []string{`a"b`}, ErrProgramName},
		{"a name that ends in a backslash", []string{`C:\a b\`}, ErrProgramName},
		{"one character too many", []string{long + "x"}, ErrTooLong},
		{"a quote too many", []string{"a", strings.Repeat(`"`, maxCommandLine/2)}, ErrTooLong},
		{"pairs count twice", []string{strings.Repeat("\U0001f600", maxCommandLine/2+1)}, ErrTooLong},
	} {
		if _, err := commandLine(tc.argv); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, expected %v", tc.what, err, tc.want)
		}
	}
	if line, err := commandLine([]string{long}); err != nil || len(line) != maxCommandLine-1 {
		t.Errorf("as long as can be: %d, %v", len(line), err)
	}
}

func TestEnvironment(t *testing.T) {
	got, err := environment([]string{"b=2", "PATH=x", "A=1", "Path=y=z", "empty="})
	if want := []string{"A=1", "b=2", "empty=", "Path=y=z"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for entry, want := range map[string]error{
		"": ErrVariable, "A": ErrVariable, "=x": ErrVariable, "A=\x00": ErrNotText, "A=\xed\xb0\x80": ErrNotText,
		"A=" + strings.Repeat("x", maxEnvironment): ErrTooLong,
	} {
		if _, err := environment([]string{entry}); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, expected %v", entry, err, want)
		}
	}
}

func TestOurVariablesWinOverTheUsers(t *testing.T) {
	own := []string{"Path=theirs", "MINE=1", "=C:=C:\\x", "odd", "HALF=\xed\xa0\x80"}
	got, err := environment(withVariables(own, []string{"PATH=ours"}))
	if want := []string{"MINE=1", "PATH=ours"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := environment(withVariables(own, []string{"odd"})); !errors.Is(err, ErrVariable) {
		t.Errorf("one of ours: %v", err)
	}
}

func TestBatchFilesAreKnown(t *testing.T) {
	for path, want := range map[string]bool{
		`C:\a.bat`: true, `C:\a.CMD`: true, `C:\a.cmd. .`: true, `C:\a.exe`: false, `C:\bat`: false, `C:\a.bat\b.exe`: false,
	} {
		if batch(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}
