package darwin

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"kpm/core"
	"kpm/platform/darwin/file"
)

// copyMode returns what the reader of a copy may do with it: the owner's bits are
// root's, the group's bits stand for the reader.
//
// Attack: a handle of somebody's private file is easily had, and running it "as
// oneself" would make a copy that one can read. So the copy lets reader do what the
// original's mode does, except write. A list that mentions anybody makes that
// unclear, and then it must be the reader's own file.
func copyMode(at file.Place, reader core.Account) (os.FileMode, error) {
	own := string(reader.User) == strconv.FormatUint(uint64(at.UID), 10)
	if reader.User == "0" { // as execve(2) has it for root: somebody may execute it
		if at.Mode&0o111 == 0 {
			return 0, fmt.Errorf("%w: %w", core.ErrMayNotRun, fs.ErrPermission)
		}
		return 0o500, nil
	}
	may := at.Mode & 0o7
	switch {
	case own:
		may = at.Mode >> 6 & 0o7
	case at.List != "":
		return 0, fmt.Errorf("it has an access control list and does not belong to %s: %w", reader.Name, fs.ErrPermission)
	case slices.Contains(reader.Groups, strconv.FormatUint(uint64(at.GID), 10)):
		may = at.Mode >> 3 & 0o7
	}
	if may&0o1 == 0 {
		return 0, fmt.Errorf("%s: %w: %w", reader.Name, core.ErrMayNotRun, fs.ErrPermission)
	}
	return 0o500 | os.FileMode(may&0o5)<<3, nil
}
