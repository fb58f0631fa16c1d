package files

import "kpm/platform/windows/file"

// Folder reads the files of one folder.
type Folder = file.Folder

// Open opens the folder at path, which administrators alone can change like
// everything above it. Errors wrap core.ErrNotProtected, fs.ErrNotExist or
// errors.ErrUnsupported.
func Open(_, path string) (*Folder, error) { return file.Files{}.OpenFolder(path) }

// Resolve follows an absolute path, with every link, to what exists, and returns
// that object's own path. Every object on the way, links among them, is shown to
// visit, with whether it is a link, and whether administrators alone can change
// it.
func Resolve(path string, visit func(at string, link, protected bool)) (string, error) {
	return file.Resolve(path, visit)
}
