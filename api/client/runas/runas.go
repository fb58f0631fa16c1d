// Package runas is KeeperRunAs: it turns what a person points at on Windows (a
// program, an installer package, a console, a link to one of them) into the command
// that keepersudo asks for.
//
// It has no authority and decides nothing: what its command names is sealed, judged
// and recorded by the service like that of every other caller.
package runas

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Command is what to ask for.
type Command struct {
	// Argv is the program and its arguments. The program is a path, or the name
	// of one that the service finds by itself.
	Argv []string
	// Dir is where it is to run; empty means where the caller is.
	Dir string
}

// Errors of what cannot be run. They say what to do instead.
var (
	ErrScript = errors.New("a script is run by an interpreter, which policy has to name: give the interpreter, and the script as its argument")
	ErrKind   = errors.New("expected a program (.exe, .com), a package (.msi, .msp), a console (.msc) or a link to one (.lnk)")
	ErrChain  = errors.New("the link leads to a link: give the one that it leads to")
)

// maxLink is the most that is read of a link, in bytes. Explorer's own are a few
// thousand.
const maxLink = 1 << 20

// Host is what package runas needs of Windows.
type Host struct {
	// ReadFile reads at most max bytes of a file.
	ReadFile func(path string, max int64) ([]byte, error)
	// Split takes arguments apart as programs do (CommandLineToArgvW).
	Split func(arguments string) ([]string, error)
	// Expand replaces %NAME% by the caller's own environment.
	Expand func(text string) (string, error)
}

// Resolve returns the command for a file and arguments. A link's own arguments come
// before these.
func Resolve(host Host, file string, args []string) (Command, error) {
	if kind(file) != ".lnk" {
		argv, err := launch(file, args)
		return Command{Argv: argv}, err
	}
	link, err := readLink(host, file)
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", file, err)
	}
	if kind(link.target) == ".lnk" {
		return Command{}, fmt.Errorf("%s: %w: %s", file, ErrChain, link.target)
	}
	own, err := host.Split(link.arguments)
	if err != nil {
		return Command{}, fmt.Errorf("%s: its arguments: %w", file, err)
	}
	argv, err := launch(link.target, append(own, args...))
	if err != nil {
		return Command{}, fmt.Errorf("%s: %w", file, err)
	}
	return Command{Argv: argv, Dir: link.dir}, nil
}

// kind is a file's ending in lower case.
func kind(path string) string {
	name := path[strings.LastIndexAny(path, `\/:`)+1:]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return strings.ToLower(name[dot:])
	}
	return ""
}

// launch is what runs a file that is no link: itself, or what Windows comes with for
// files of its kind.
func launch(file string, args []string) ([]string, error) {
	switch kind(file) {
	case ".exe", ".com":
		return append([]string{file}, args...), nil
	case ".msi":
		return append([]string{"msiexec.exe", "/i", file}, args...), nil
	case ".msp":
		return append([]string{"msiexec.exe", "/p", file}, args...), nil
	case ".msc":
		return append([]string{"mmc.exe", file}, args...), nil
	case ".bat", ".cmd", ".ps1", ".vbs", ".js", ".wsf":
		return nil, fmt.Errorf("%s: %w", file, ErrScript)
	}
	return nil, fmt.Errorf("%s: %w", file, ErrKind)
}

func readLink(host Host, file string) (shellLink, error) {
	data, err := host.ReadFile(file, maxLink)
	if err != nil {
		return shellLink{}, err
	}
	link, err := parseLink(data)
	if err != nil {
		return shellLink{}, err
	}
	for _, text := range []*string{&link.target, &link.dir} {
		if *text, err = host.Expand(*text); err != nil {
			return shellLink{}, err
		}
	}
	return link, nil
}

// Usage is what --help says.
const Usage = `KeeperRunAs runs a program as administrator if policy allows it, as "Run with
Keeper" in Explorer does.

  KeeperRunAs FILE [ARGUMENT ...]

FILE is a program (.exe, .com), an installer package (.msi, .msp), a management
console (.msc), or a link (.lnk) to one of them, whose arguments come first.

Examples:
  KeeperRunAs "C:\Program Files\Tool\tool.exe" --update
  KeeperRunAs C:\Users\Public\Desktop\Printers.lnk
  KeeperRunAs C:\Packages\reader.msi /qb

Exit codes are those of keepersudo: the program's own, 1 if it was refused,
2 if the command line is wrong, 126 or 127 if FILE cannot be used or is not there.
`

// Files is a Host's ReadFile for real files.
func Files(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, max+1)
	n := 0
	for n < len(data) {
		m, err := f.Read(data[n:])
		n += m
		if err != nil {
			break // what is missing makes no link
		}
	}
	if int64(n) > max {
		return nil, fmt.Errorf("%s: longer than %d bytes: no link is", path, max)
	}
	return data[:n], nil
}
