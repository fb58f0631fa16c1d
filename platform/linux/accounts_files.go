//go:build linux

package linux

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"kpm/core"
)

const (
	noHome       = "/"       // of an entry without a home directory
	defaultShell = "/bin/sh" // of one without a shell (passwd(5))
)

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

// groupEntry is a group of /etc/group or of a directory.
type groupEntry struct {
	name, gid string
	members   []string // by name
}

// parseGroupEntry reads a line of group(5).
func parseGroupEntry(line string) (groupEntry, bool) {
	f := strings.Split(line, ":")
	if len(f) != 4 || f[0] == "" || strings.ContainsAny(f[0][:1], "+-#") {
		return groupEntry{}, false
	}
	gid, ok := entryID(f[2])
	return groupEntry{f[0], gid, strings.Split(f[3], ",")}, ok
}

// subordinate is a range of uids that a user may use in user namespaces.
type subordinate struct {
	owner        string
	first, count uint64
}

// parseSubordinate reads a line of subuid(5).
func parseSubordinate(line string) (subordinate, bool) {
	f := strings.Split(line, ":")
	if len(f) != 3 {
		return subordinate{}, false
	}
	first, err1 := strconv.ParseUint(f[1], 10, 32)
	count, err2 := strconv.ParseUint(f[2], 10, 33)
	return subordinate{f[0], first, count}, err1 == nil && err2 == nil
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
	ranges, err := a.subuid.all()
	for _, r := range ranges {
		if uint64(uid) >= r.first && uint64(uid)-r.first < r.count {
			return fmt.Errorf("it is a subordinate id of %q: %w", r.owner, core.ErrNoAccount)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
