//go:build linux

package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/port"
)

// Accounts looks accounts and groups up: in /etc/passwd and /etc/group, as they
// are at each question, and then in what else nsswitch.conf(5) names, such as
// SSSD, LDAP or systemd-homed (see directory). What is in the files counts
// first, and nothing that a directory says changes what it means.
type Accounts struct {
	passwd    *table[core.Account] // without groups
	group     *table[groupEntry]
	subuid    *table[subordinate]
	directory *directory // nil: the files alone
}

var _ port.Accounts = Accounts{}

// NewAccounts returns Accounts that also ask directories, for a service: root
// alone can start what asks them.
func NewAccounts() Accounts {
	a := LocalAccounts()
	a.directory = newDirectory()
	return a
}

// LocalAccounts returns Accounts that know what is in the files alone.
func LocalAccounts() Accounts { return accountsIn("/etc") }

// accountsIn returns Accounts of the files in a folder.
func accountsIn(dir string) Accounts {
	return Accounts{
		passwd: newTable(dir+"/passwd", parsePasswd),
		group:  newTable(dir+"/group", parseGroupEntry),
		subuid: newTable(dir+"/subuid", parseSubordinate),
	}
}

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return os.Geteuid() == 0 }

// ByID implements port.Accounts.
func (a Accounts) ByID(id core.UserID) (core.Account, error) {
	account, remote, err := a.byID(id)
	if err == nil {
		err = a.addGroups(&account, remote)
	}
	if err != nil {
		return core.Account{}, fmt.Errorf("account of user %q: %w", id, err)
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
	account, remote, err := a.byName(name)
	if err == nil {
		err = a.addGroups(&account, remote)
	}
	if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w", name, err)
	}
	return account, nil
}

// byID finds an account without its groups, and says whether it is a
// directory's.
//
// Attack: two entries of one name, or a directory that has a local user's name.
// Whoever has the second would be who the first is to policies. So the name must
// lead back to the same user.
func (a Accounts) byID(id core.UserID) (account core.Account, remote bool, err error) {
	number, err := parseKernelID(string(id))
	if err != nil {
		return core.Account{}, false, err
	}
	account, err = a.localByID(id)
	if remote = errors.Is(err, core.ErrNoAccount); remote {
		account, err = a.fromDirectory(number)
	}
	if err != nil {
		return core.Account{}, false, err
	}
	first, err := a.local(func(e core.Account) bool { return e.Name == account.Name })
	switch {
	case errors.Is(err, core.ErrNoAccount) || err == nil && first.User == id:
		return account, remote, nil
	case err == nil:
		err = fmt.Errorf("its name %q is that of user %s: %w", account.Name, first.User, core.ErrNoAccount)
	}
	return core.Account{}, false, err
}

// byName finds an account without its groups. One of a directory's must not be
// a user whom this machine knows by another name.
func (a Accounts) byName(name string) (account core.Account, remote bool, err error) {
	account, err = a.local(func(e core.Account) bool { return e.Name == name })
	if !errors.Is(err, core.ErrNoAccount) {
		return account, false, err
	}
	named, err := a.directory.byName(name)
	if err != nil {
		return core.Account{}, false, err
	}
	account, remote, err = a.byID(named.User)
	if err == nil && account.Name != name {
		err = fmt.Errorf("user %s is %q: %w", account.User, account.Name, core.ErrNoAccount)
	}
	return account, remote, err
}

// localByID finds the first entry of a uid, and the names of the others.
func (a Accounts) localByID(id core.UserID) (core.Account, error) {
	var found core.Account
	_, err := a.local(func(e core.Account) bool {
		switch {
		case e.User != id:
		case found.Name == "":
			found = e
		case e.Name != found.Name && !slices.Contains(found.OtherNames, e.Name):
			found.OtherNames = append(found.OtherNames, e.Name)
		}
		return false
	})
	if found.Name != "" && errors.Is(err, core.ErrNoAccount) {
		return found, nil
	}
	return core.Account{}, err
}

// local finds the first entry of /etc/passwd that matches, as getpwent(3) would.
func (a Accounts) local(matches func(core.Account) bool) (core.Account, error) {
	people, err := a.passwd.all()
	if err != nil {
		return core.Account{}, err
	}
	if i := slices.IndexFunc(people, matches); i >= 0 {
		return people[i], nil
	}
	return core.Account{}, core.ErrNoAccount
}

// fromDirectory asks the directories whose a uid is, unless it cannot be an
// account's.
func (a Accounts) fromDirectory(uid uint32) (core.Account, error) {
	if err := a.transient(uid); err != nil {
		return core.Account{}, err
	}
	account, err := a.directory.byID(uid)
	if err == nil && account.User != core.UserID(strconv.FormatUint(uint64(uid), 10)) {
		return core.Account{}, fmt.Errorf("a directory answers with user %s: %w", account.User, core.ErrNoAccount)
	}
	return account, err
}

// addGroups completes an account: its groups by /etc/group, and those that the
// directories know of it.
func (a Accounts) addGroups(account *core.Account, remote bool) error {
	account.Groups = []string{account.Group}
	add := func(gid string) {
		if !slices.Contains(account.Groups, gid) {
			account.Groups = append(account.Groups, gid)
		}
	}
	groups, err := a.group.all()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if slices.Contains(g.members, account.Name) {
			add(g.gid)
		}
	}
	gids, err := a.directory.groupsOf(account.Name, remote)
	if err != nil {
		account.GroupsUnknown = true
	}
	for _, gid := range gids {
		add(gid)
	}
	return nil
}

// GroupNames implements port.Accounts.
func (a Accounts) GroupNames(ids []string) (map[string][]string, error) {
	names, taken := map[string][]string{}, map[string]bool{}
	groups, err := a.group.all()
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	for _, g := range groups {
		if slices.Contains(ids, g.gid) && !taken[g.name] {
			names[g.gid] = append(names[g.gid], g.name)
		}
		taken[g.name] = true // the first entry of a name is the group (getgrnam(3))
	}
	var missing []string
	for _, id := range ids {
		if names[id] == nil {
			missing = append(missing, id)
		}
	}
	found, err := a.directory.groupNames(missing)
	for gid, name := range found {
		if !taken[name] {
			names[gid] = []string{name}
		}
	}
	return names, err
}

// Share implements port.Accounts.
func (a Accounts) Share(id core.UserID) core.UserID {
	if _, err := a.local(func(e core.Account) bool { return e.User == id }); err == nil || a.directory.known(id) {
		return id
	}
	return core.Unknown
}
