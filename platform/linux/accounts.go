//go:build linux

package linux

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/port"
)

// What a uid without an entry gets: it can own processes and files, and
// belongs to no group of anybody's.
const (
	strangerGroup = "65534"
	strangerHome  = "/"
	defaultShell  = "/bin/sh" // also of an entry without one (passwd(5))
)

// Accounts reads /etc/passwd and /etc/group anew for each question. Accounts
// that only a directory service knows are treated as uids without an entry.
type Accounts struct {
	passwd, group string // files; empty means those in /etc
}

var _ port.Accounts = Accounts{}

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return os.Geteuid() == 0 }

// ByID implements port.Accounts. A uid without an entry is an account too,
// named like its number, without groups.
func (a Accounts) ByID(id core.UserID) (core.Account, error) {
	if _, err := parseKernelID(string(id)); err != nil {
		return core.Account{}, fmt.Errorf("account: %w", err)
	}
	account, err := a.find(func(e core.Account) bool { return e.User == id })
	if errors.Is(err, core.ErrNoAccount) {
		return core.Account{
			User: id, Name: string(id), Group: strangerGroup, Groups: []string{strangerGroup},
			Home: strangerHome, Shell: defaultShell,
		}, nil
	} else if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w", id, err)
	}
	return account, nil
}

// ByName implements port.Accounts. "#1000" is the account of uid 1000, as with
// sudo; 4294967295 and what is not a plain number are refused (CVE-2018-19788,
// CVE-2019-14287).
func (a Accounts) ByName(name string) (core.Account, error) {
	if id, isNumber := strings.CutPrefix(name, "#"); isNumber {
		return a.ByID(core.UserID(id))
	}
	account, err := a.find(func(e core.Account) bool { return e.Name == name })
	if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w", name, err)
	}
	return account, nil
}

// find returns the first entry that matches, as getpwent(3) would.
func (a Accounts) find(matches func(core.Account) bool) (core.Account, error) {
	var found core.Account
	err := eachLine(cmp.Or(a.passwd, "/etc/passwd"), func(line string) bool {
		account, ok := parsePasswd(line)
		if ok && matches(account) {
			found = account
			return false
		}
		return true
	})
	if err != nil {
		return core.Account{}, err
	}
	if found.Name == "" {
		return core.Account{}, core.ErrNoAccount
	}
	found.Groups = []string{found.Group}
	err = eachLine(cmp.Or(a.group, "/etc/group"), func(line string) bool {
		gid, members, ok := parseMembers(line)
		if ok && slices.Contains(members, found.Name) && !slices.Contains(found.Groups, gid) {
			found.Groups = append(found.Groups, gid)
		}
		return true
	})
	return found, err
}

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
		Home:  cmp.Or(f[5], strangerHome),
		Shell: cmp.Or(f[6], defaultShell),
	}, true
}

// parseMembers reads a line of group(5).
func parseMembers(line string) (gid string, members []string, ok bool) {
	f := strings.Split(line, ":")
	if len(f) != 4 || f[0] == "" {
		return "", nil, false
	}
	gid, ok = entryID(f[2])
	return gid, strings.Split(f[3], ","), ok
}

// entryID returns an id in a database in its one spelling. Leading zeros are
// read as the C library reads them: whom it knows must not become a stranger.
func entryID(s string) (string, bool) {
	id, err := strconv.ParseUint(s, 10, 32)
	return strconv.FormatUint(id, 10), err == nil && id != noID
}
