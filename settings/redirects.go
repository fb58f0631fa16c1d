package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/redirect"
)

// Redirects are the redirect rules of Plugins/RedirectEvaluator.json. They are read from
// the file each time, which administrators alone can change: what is stored for the plugin
// decides whether rules count, and never what is launched.
type Redirects struct {
	Layout   Layout
	Platform core.Platform
	Read     Reader
	// Setting returns an effective plugin setting.
	Setting func(plugin, key string) (string, bool)
}

// maxRedirects bounds the file, in bytes.
const maxRedirects = 1 << 20

// Find returns what the rules have launched in place of s; false if they say nothing of
// it, or do not count. The error is that of rules which cannot be read or followed: then
// nobody knows what they say.
func (r Redirects) Find(s redirect.Subject) (redirect.Launch, bool, error) {
	if on, _ := r.Setting(redirect.Plugin, redirect.Enabled); !strings.EqualFold(on, "true") {
		return redirect.Launch{}, false, nil
	}
	doc, err := ReadDocument(filepath.Join(r.Layout.Plugins(), redirect.Plugin+".json"), maxRedirects, r.Read)
	if errors.Is(err, fs.ErrNotExist) {
		return redirect.Launch{}, false, nil
	}
	if err != nil {
		return redirect.Launch{}, false, err
	}
	var file struct {
		Metadata struct {
			Redirect struct{ Rules json.RawMessage }
		}
	}
	if err := doc.Decode(&file); err != nil {
		return redirect.Launch{}, false, err
	}
	rules, err := redirect.Parse(string(file.Metadata.Redirect.Rules))
	if err != nil {
		return redirect.Launch{}, false, err
	}
	instead, ok := rules.Match(s)
	if !ok {
		return redirect.Launch{}, false, nil
	}
	field := fmt.Sprintf("%s[%d].", redirect.Setting, instead.Rule-1)
	path, err := r.path(instead.Target)
	if err != nil {
		return redirect.Launch{}, false, doc.Fault(field+"targetExe", fault.Text(instead.Target), err.Error())
	}
	args := instead.Arguments
	if instead.Line != "" {
		if args, err = r.split(instead.Line); err != nil {
			return redirect.Launch{}, false, doc.Fault(field+"targetArguments", err.Error(), "words, quoted with '...' or \"...\"")
		}
	}
	return redirect.Launch{Rule: instead.Rule, Path: path, Args: args}, true, nil
}

// path is the program that targetExe means: an absolute path, or what is deployed under
// that name. The error says what was expected.
func (r Redirects) path(target string) (string, error) {
	path, err := r.expand(ParseTemplate(target))
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(path) {
		return path, nil
	}
	name := target + r.Platform.ProgramSuffix()
	for _, place := range []string{
		filepath.Join(r.Layout.Root(), path), filepath.Join(r.Layout.Plugins(), path),
		filepath.Join(r.Layout.Plugins(), "bin", target, name), r.Layout.JobBin(target, r.Platform.ProgramSuffix()),
	} {
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() && filepath.IsLocal(target) {
			return place, nil
		}
	}
	return "", errors.New("an absolute path, or a program below the agent root, Plugins, Plugins/bin or Jobs/bin")
}

// expand fills in the agent's own folders, and nothing else.
func (r Redirects) expand(t Template) (string, error) {
	return t.Expand(func(token string) (string, error) {
		if path, ok := r.Layout.Variable(token); ok {
			return path, nil
		}
		return "", errors.New("no token but {approot}, {pluginroot} and {jobroot}")
	})
}

// split takes arguments apart.
func (r Redirects) split(line string) ([]string, error) {
	templates, err := SplitArguments(line)
	if err != nil {
		return nil, err
	}
	args := make([]string, len(templates))
	for i, t := range templates {
		if args[i], err = r.expand(t); err != nil {
			return nil, err
		}
	}
	return args, nil
}
