package seal

import (
	"errors"
	"fmt"
	"os"

	"kpm/core"
)

// errArgument means that an argument is no longer the file that was decided on.
var errArgument = errors.New("an argument changed after it was decided on: try again")

// Argument opens what policy has decided on as the file that an argument names.
// protected says that its path will lead to it for as long as no administrator
// changes that; otherwise only the open file is what was decided on.
func (s *Sealer) Argument(path string) (file *os.File, protected bool, err error) {
	file, err = s.Files.Locate(path)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errArgument, err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := s.Files.Inspect(file)
	if err != nil || info.Path != path || !info.Regular && !info.Dir {
		return nil, false, errArgument
	}
	switch err := s.Files.Protected(file); {
	case err == nil:
		return file, true, nil
	case !errors.Is(err, core.ErrNotProtected):
		return nil, false, err
	}
	// Attack: where the kernel does not forbid it, a user makes another name of
	// a file of root's.
	if info.Regular && info.Links > 1 {
		return nil, false, fmt.Errorf("%s has %d names, of which policy knows one: name a file that has no other", path, info.Links)
	}
	return file, false, nil
}
