package admincli

import (
	"kpm/platform/files"
	"kpm/plugins/keeperpolicy"
)

// readPolicies is what the main hands over.
func readPolicies(f PolicyFiles) PolicySet {
	return keeperpolicy.ReadCandidate(keeperpolicy.Reading{
		Root: f.Root, Collections: f.Collections, Paths: f.Paths, Files: f.Files, EnforceForAdministrators: f.EnforceForAdministrators, Own: f.Own,
	}, keeperpolicy.Tools{
		Open:    func(root, path string) (keeperpolicy.Folder, error) { return files.Open(root, path) },
		Resolve: files.Resolve,
	})
}
