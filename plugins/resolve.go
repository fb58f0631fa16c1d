package plugins

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kpm/settings"
)

// expand fills in the tokens of a plugin file; values are by folded token.
func expand(l settings.Layout, values map[string]string, t settings.Template) (string, error) {
	return t.Expand(func(token string) (string, error) {
		if path, ok := l.Variable(token); ok {
			return path, nil
		}
		return values[strings.ToLower(token)], nil // ParseManifest lets nothing else through
	})
}

// values are what tokens of p's arguments stand for, besides paths. A plugin
// that runs in no session has no user there.
func (p *plugin) values(apiBaseURL string) map[string]string {
	return map[string]string{
		"keeperapibaseurl": apiBaseURL, "pluginid": p.id, "username": p.userName, "sessionid": string(p.session.ID),
	}
}

// resolve finds a plugin's program: an absolute path as it is, a relative one
// under the agent root, then under the plugin folder; the first that exists
// wins (decision 6). suffix is what the system's programs end in: a file for
// several systems leaves it out. Whether it may be run is the Starter's check.
func resolve(l settings.Layout, suffix string, executable settings.Template) (string, error) {
	path, err := expand(l, nil, executable)
	if err != nil {
		return "", err
	}
	candidates := []string{filepath.Clean(path)}
	if !filepath.IsAbs(path) {
		candidates = []string{filepath.Join(l.Root(), path), filepath.Join(l.Plugins(), path)}
	}
	if suffix != "" && !strings.HasSuffix(strings.ToLower(path), suffix) {
		for _, candidate := range candidates {
			candidates = append(candidates, candidate+suffix)
		}
	}
	for _, candidate := range candidates {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("executablePath: no program at %s; install it there or correct the path: %w", strings.Join(candidates, " or "), fs.ErrNotExist)
}
