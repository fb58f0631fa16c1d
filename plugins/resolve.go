package plugins

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"kpm/core"
	"kpm/settings"
)

// expand fills in the tokens of a plugin file.
func expand(l settings.Layout, apiBaseURL string, t settings.Template) (string, error) {
	return t.Expand(func(token string) (string, error) {
		if path, ok := l.Variable(token); ok {
			return path, nil
		}
		return apiBaseURL, nil // ParseManifest lets nothing else through
	})
}

// resolve finds a plugin's program: an absolute path as it is, a relative one
// under the agent root, then under the plugin folder; the first that exists
// wins (decision 6). Where programs have an ending it may be left out, so that one
// file serves every system. Whether it may be run is the Starter's check.
func resolve(l settings.Layout, executable settings.Template) (string, error) {
	path, err := expand(l, "", executable)
	if err != nil {
		return "", err
	}
	candidates := []string{filepath.Clean(path)}
	if !filepath.IsAbs(path) {
		candidates = []string{filepath.Join(l.Root(), path), filepath.Join(l.Plugins(), path)}
	}
	for _, candidate := range candidates {
		for _, named := range []string{candidate, candidate + core.PlatformOf(runtime.GOOS).ProgramSuffix()} {
			if info, err := os.Stat(named); err == nil && info.Mode().IsRegular() {
				return named, nil
			}
		}
	}
	return "", fmt.Errorf("executablePath: no program at %s; install it there or correct the path: %w", strings.Join(candidates, " or "), fs.ErrNotExist)
}
