package keeperpolicy

import (
	"os"
	"path/filepath"
	"runtime"

	"kpm/core"
	"kpm/core/policy"
)

// machine describes this machine to the engine, as far as it stays the same:
// what changes is in each question (surroundings).
func machine(root string, collections map[string]policy.Collection, enforceForAdministrators bool) policy.Environment {
	return policy.Environment{
		Platform:                 platform(),
		Variables:                policy.Variables(platform(), filepath.ToSlash(root)),
		Links:                    links(),
		SecurePath:               platform().SecurePath(),
		MissingGroup:             newSurroundings().groups.isMissing,
		Collections:              collections,
		EnforceForAdministrators: enforceForAdministrators,
	}
}

// platform is the one that this machine runs.
func platform() core.Platform { return core.PlatformOf(runtime.GOOS) }

// links finds the top directories that are links, as /bin on merged-usr
// systems: a DENY of /bin/bash must hold for /usr/bin/bash.
func links() map[string]string {
	found := map[string]string{}
	for _, dir := range policy.LinkCandidates() {
		target, err := os.Readlink(dir)
		if err != nil {
			continue // not a link
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join("/", target)
		}
		found[dir] = filepath.Clean(target)
	}
	return found
}
