package tool

import (
	"fmt"
	"slices"
	"strconv"
)

// Dseditgroup changes who is in a group (dseditgroup(8)).
const Dseditgroup = "/usr/sbin/dseditgroup"

// firstPerson is the first uid of people; those below are the system's, and hidden.
const firstPerson = 501

// SystemAccount reports whether a uid is no person's.
func SystemAccount(id string) bool {
	uid, err := strconv.ParseUint(id, 10, 32)
	return err != nil || uid < firstPerson || uid >= firstTransient
}

// AskMembers returns what asks for the people in a group of the machine's own
// directory.
func AskMembers(group string) []string {
	return []string{Dscl, "-plist", ".", "-read", "/Groups/" + group, "RecordName", "PrimaryGroupID", "GroupMembership"}
}

// ParseMembers reads the answer: short names, each once. A group without members has
// no such attribute.
func ParseMembers(answer []byte) (gid string, names []string, err error) {
	list, err := records(answer)
	if err != nil {
		return "", nil, err
	}
	if len(list) != 1 {
		return "", nil, fmt.Errorf("dscl answered with %d groups, expected 1", len(list))
	}
	gid, ok := list[0].value("PrimaryGroupID")
	if !ok || !Number(gid) {
		return "", nil, fmt.Errorf("dscl answered with a group without a number")
	}
	for _, name := range list[0]["dsAttrTypeStandard:GroupMembership"] {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return gid, names, nil
}

// SetMember returns what makes a user a member of a group, or ends that. The caller
// has checked both with Name.
func SetMember(group, user string, member bool) []string {
	what := "-d"
	if member {
		what = "-a"
	}
	return []string{Dseditgroup, "-o", "edit", "-n", ".", what, user, "-t", "user", group}
}
