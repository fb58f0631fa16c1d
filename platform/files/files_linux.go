package files

import (
	"path/filepath"

	"kpm/platform/linux/file"
)

// Folder reads the files of one folder.
type Folder = file.Folder

// Open opens the folder at path, which administrators alone can change like
// everything above it. agentRoot is the service's directory, absolute and
// without links. Errors wrap core.ErrNotProtected, fs.ErrNotExist or
// errors.ErrUnsupported.
func Open(agentRoot, path string) (*Folder, error) {
	return file.Files{AgentRoot: filepath.Clean(agentRoot)}.OpenFolder(path)
}
