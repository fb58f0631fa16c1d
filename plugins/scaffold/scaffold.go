// Package scaffold writes the beginning of a plugin: its file, its program and a
// test, in one of several languages. What it writes runs as it is.
//
// It installs nothing and asks no agent.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// templates are the files by language. @NAME@ in them, and in their names, is the
// plugin's id; a go.mod of its own would make a module of a folder here.
//
//go:embed all:templates
var templates embed.FS

// Plugin is what is to be written.
type Plugin struct {
	Name     string // the id
	Language string
	// SDK is the folder of the sdk's source, for Go.
	SDK string
}

// steps say, by language, what is left to do before the plugin is installed.
func steps() map[string]string {
	return map[string]string{
		"go":     "go mod tidy && go test . && CGO_ENABLED=0 go build -o @NAME@ .",
		"python": "/usr/bin/python3 -m unittest test_@NAME@.py",
		"node":   "npm install --omit=dev && node --test",
		"csharp": "dotnet run -- --test && dotnet publish -c Release -r linux-x64 -o . ",
		"shell":  "sh test.sh",
	}
}

// Languages are those there are, in order.
func Languages() []string { return slices.Sorted(maps.Keys(steps())) }

// Steps are the commands that make p's program and test it, in its folder.
func (p Plugin) Steps() string { return strings.TrimSpace(p.fill(steps()[p.Language])) }

func (p Plugin) fill(text string) string {
	return strings.NewReplacer("@NAME@", p.Name, "@LOWER@", strings.ToLower(p.Name), "@SDK@", filepath.ToSlash(p.SDK)).Replace(text)
}

// Write writes p into dir, which it makes and which must not be there. Scripts
// are executable.
func (p Plugin) Write(dir string) error {
	if _, known := steps()[p.Language]; !known {
		return fmt.Errorf("there is no scaffold for %q, expected one of %s", p.Language, strings.Join(Languages(), ", "))
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already: give the plugin another name, or move it away", dir)
		}
		return err
	}
	from := path.Join("templates", p.Language)
	return fs.WalkDir(templates, from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(templates, at)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(p.fill(path.Base(at)), ".txt")
		text := p.fill(string(data))
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		return os.WriteFile(filepath.Join(dir, name), []byte(text), mode)
	})
}
