package tool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
)

// NoRecord is dscl's exit status for a record that there is not
// (eDSRecordNotFound), and NoUser id's for a user.
const (
	NoRecord = 56
	NoUser   = 1
)

// AskIdentity returns what asks who a user is, by name or uid, and in which
// groups: the local directory's and those of others that the machine is bound to,
// nested ones included.
func AskIdentity(user string) []string { return []string{ID, "--", user} }

// AskUser returns what asks for the rest of an account.
func AskUser(name string) []string {
	return []string{Dscl, "-plist", "/Search", "-read", "/Users/" + name, "RecordName", "UniqueID", "PrimaryGroupID", "NFSHomeDirectory", "UserShell"}
}

// AskGroups returns what asks for all groups, with their names.
func AskGroups() []string {
	return []string{Dscl, "-plist", "/Search", "-readall", "/Groups", "RecordName", "PrimaryGroupID"}
}

// Name reports whether name can be asked for: dscl takes what follows a "/" for
// another record, and id what begins with "-" for an option.
func Name(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.HasPrefix(name, "-") && !strings.ContainsAny(name, "/\\\x00\n\r\t ,()=:")
}

// ParseIdentity reads id's answer: uid=501(alice) gid=20(staff)
// groups=20(staff),12(everyone).
func ParseIdentity(answer string) (core.Account, error) {
	fields := strings.Split(strings.TrimSuffix(answer, "\n"), " ")
	if len(fields) != 3 {
		return core.Account{}, fmt.Errorf("id answered %.100q, expected uid, gid and groups", answer)
	}
	uid, name, err1 := entry(fields[0], "uid=")
	gid, _, err2 := entry(fields[1], "gid=")
	list, isList := strings.CutPrefix(fields[2], "groups=")
	if err1 != nil || err2 != nil || !isList || name == "" {
		return core.Account{}, fmt.Errorf("id answered %.100q, expected uid, gid and groups", answer)
	}
	account := core.Account{User: core.UserID(uid), Name: name, Group: gid, Groups: []string{gid}}
	for _, group := range strings.Split(list, ",") {
		id, _, err := entry(group, "")
		if err != nil {
			return core.Account{}, fmt.Errorf("id answered %.100q: group %.50q", answer, group)
		}
		if !slices.Contains(account.Groups, id) {
			account.Groups = append(account.Groups, id)
		}
	}
	return account, nil
}

// entry reads prefix, a number and, if there is one, a name in parentheses.
func entry(text, prefix string) (id, name string, err error) {
	rest, ok := strings.CutPrefix(text, prefix)
	id, name, named := strings.Cut(rest, "(")
	if named {
		name, named = strings.CutSuffix(name, ")")
		ok = ok && named
	}
	if !ok || !Number(id) {
		return "", "", fmt.Errorf("%.50q is not %s and a number", text, prefix)
	}
	return id, name, nil
}

// Number reports whether text is an id in its one form. 4294967295 means "leave
// unchanged" to the kernel and is nobody's (CVE-2018-19788, CVE-2019-14287); dscl
// writes it -1, and the 4294967294 of "nobody" -2, which are no numbers here either.
func Number(text string) bool {
	id, err := strconv.ParseUint(text, 10, 32)
	return err == nil && id != 1<<32-1 && strconv.FormatUint(id, 10) == text
}

// Complete adds to an account what dscl says about it. What both know must be the
// same: between the two questions the name may have become another user's.
func Complete(account core.Account, answer []byte) (core.Account, error) {
	found, err := records(answer)
	if err != nil {
		return core.Account{}, fmt.Errorf("dscl about %s: %w", account.Name, err)
	}
	if len(found) != 1 {
		return core.Account{}, fmt.Errorf("dscl about %s: %d records", account.Name, len(found))
	}
	r := found[0]
	uid, _ := r.value("UniqueID")
	names := r["dsAttrTypeStandard:RecordName"]
	if uid != string(account.User) || !slices.Contains(names, account.Name) {
		return core.Account{}, fmt.Errorf("dscl says that %s is user %q with the names %q, id that it is user %s: %w",
			account.Name, uid, names, account.User, core.ErrNoAccount)
	}
	// They restrict and never grant (core.Account).
	for _, name := range names {
		if name != account.Name {
			account.OtherNames = append(account.OtherNames, name)
		}
	}
	account.Home, _ = r.value("NFSHomeDirectory")
	account.Shell, _ = r.value("UserShell")
	return account, nil
}

// ParseGroups reads the names of all groups, by id. The first record of a name is
// the group.
func ParseGroups(answer []byte) (map[string][]string, error) {
	found, err := records(answer)
	if err != nil {
		return nil, fmt.Errorf("dscl about groups: %w", err)
	}
	names, taken := map[string][]string{}, map[string]bool{}
	for _, r := range found {
		id, ok := r.value("PrimaryGroupID")
		if !ok || !Number(id) {
			continue // nobody, -2, and its like: no file is theirs
		}
		for _, name := range r["dsAttrTypeStandard:RecordName"] {
			if !taken[name] {
				names[id] = append(names[id], name)
			}
			taken[name] = true
		}
	}
	return names, nil
}
