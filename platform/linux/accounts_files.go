//go:build linux

package linux

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"kpm/core"
)

const (
	noHome       = "/"       // of an entry without a home directory
	defaultShell = "/bin/sh" // of one without a shell (passwd(5))
)

// eachLine calls use with the lines of a file until it returns false.
func eachLine(path string, use func(line string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // groups with thousands of members
	for lines.Scan() {
		if !use(lines.Text()) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// parsePasswd reads a line of passwd(5). Lines that name nobody in particular,
// such as "+" of NIS, are not entries.
func parsePasswd(line string) (core.Account, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] == "" || strings.ContainsAny(f[0][:1], "+-#") {
		return core.Account{}, false
	}
	uid, uidOK := entryID(f[2])
	gid, gidOK := entryID(f[3])
	if !uidOK || !gidOK {
		return core.Account{}, false
	}
	return core.Account{
		User:  core.UserID(uid),
		Name:  f[0],
		Group: gid,
		Home:  cmp.Or(f[5], noHome),
		Shell: cmp.Or(f[6], defaultShell),
	}, true
}

// parseMembers reads a line of group(5).
func parseMembers(line string) (name, gid string, members []string, ok bool) {
	f := strings.Split(line, ":")
	if len(f) != 4 || f[0] == "" || strings.ContainsAny(f[0][:1], "+-#") {
		return "", "", nil, false
	}
	gid, ok = entryID(f[2])
	return f[0], gid, strings.Split(f[3], ","), ok
}

// entryID returns an id in a database in its one spelling. Leading zeros are
// read as the C library reads them: whom it knows must not become a stranger.
func entryID(s string) (string, bool) {
	id, err := strconv.ParseUint(s, 10, 32)
	return strconv.FormatUint(id, 10), err == nil && id != noID
}

// Ids that are nobody's for good (systemd's UIDS-GIDS): those of services that
// have a user only while they run. Ours (confine.go) are above what it gives
// away.
const firstDynamic, lastDynamic = 61184, 65519

// transient says why no account can have a uid that is not in /etc/passwd:
// somebody can have it for a while without being anybody.
//
// Attack: a user with subordinate ids makes setuid files of each of them in a
// user namespace, runs them outside, and is 65 536 other users.
func (a Accounts) transient(uid uint32) error {
	if uid >= firstDynamic && uid <= lastDynamic || uid >= firstConfined && uid < firstTransient+transientIDs {
		return fmt.Errorf("it is one of those that exist only while something runs: %w", core.ErrNoAccount)
	}
	owner := ""
	err := eachLine(cmp.Or(a.subuid, "/etc/subuid"), func(line string) bool {
		f := strings.Split(line, ":")
		if len(f) != 3 {
			return true
		}
		first, err1 := strconv.ParseUint(f[1], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 33)
		if err1 == nil && err2 == nil && uint64(uid) >= first && uint64(uid)-first < count {
			owner = f[0]
			return false
		}
		return true
	})
	switch {
	case owner != "":
		return fmt.Errorf("it is a subordinate id of %q: %w", owner, core.ErrNoAccount)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}
