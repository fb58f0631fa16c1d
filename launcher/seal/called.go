package seal

import (
	"path/filepath"

	"kpm/core/filecache"
)

// called returns what the program of sealed is called (argv[0]), and the path
// that leads to it: what was typed, if nobody but an administrator can change
// any link and directory on that way, or else the resolved path. Programs look
// at what they are called: psql is a link to pg_wrapper.
//
// Attack: a link of the caller's own, or an argv[0] of their choice, makes one
// program out of another that policy allows.
func (s *Sealer) called(r *Request, sealed *Sealed) (name, path string) {
	exe := &sealed.Subject.Executable
	if !exe.Protected {
		return exe.Path, exe.Path
	}
	if s.Facts.Platform.IsBareName(r.Command) && filepath.Base(exe.Path) == r.Command {
		return r.Command, exe.Path // by its own name, from where only an administrator can put it
	}
	for _, path := range s.ways(r.Command, exe.Requested) {
		if path == exe.Path || s.leads(path, sealed) {
			return r.Command, path
		}
	}
	return exe.Path, exe.Path
}

// ways lists the paths that what was typed can mean.
func (s *Sealer) ways(command, requested string) (paths []string) {
	if !s.Facts.Platform.IsBareName(command) {
		return []string{requested}
	}
	for _, dir := range s.Facts.Platform.SecurePath() {
		paths = append(paths, filepath.Join(dir, command))
	}
	return paths
}

// leads reports whether path leads to the program of sealed, and only an
// administrator can have it lead elsewhere.
func (s *Sealer) leads(path string, sealed *Sealed) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	handle, err := s.Files.LocateProtected(path)
	if err != nil {
		return false
	}
	defer handle.Close()
	info, err := s.Files.Inspect(handle)
	return err == nil && filecache.Identify(info, 0) == filecache.Identify(sealed.info, 0)
}
