package file

import "strings"

// harmless are the permissions of an access control list that change nothing
// (sys/acl.h, as acl_to_text(3) writes them).
var harmless = map[string]bool{
	"read": true, "list": true, "execute": true, "search": true,
	"readattr": true, "readextattr": true, "readsecurity": true, "synchronize": true,
}

// inherited are flags of an entry that say where it is from or whom it goes to.
var inherited = map[string]bool{
	"inherited": true, "file_inherit": true, "directory_inherit": true, "limit_inherit": true, "only_inherit": true,
}

// Grants returns the first entry of an access control list that lets somebody do
// what changes an object, or that is not understood; "" for none. Entries that deny
// take nothing away from what the mode allows root alone, and are fine: macOS puts
// "everyone deny delete" on folders of its own.
//
// The text is that of acl_to_text(3):
//
//	!#acl 1
//	user:UUID:NAME:ID:allow,inherited:read,execute
func Grants(list string) string {
	for i, line := range strings.Split(strings.TrimSuffix(list, "\n"), "\n") {
		if i == 0 && (line == "" || line == "!#acl 1") {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) != 6 {
			return entry(line)
		}
		kind, flags, _ := strings.Cut(fields[4], ",")
		for flag := range strings.SplitSeq(flags, ",") {
			if flag != "" && !inherited[flag] {
				return entry(line)
			}
		}
		if kind == "deny" {
			continue
		}
		for permission := range strings.SplitSeq(fields[5], ",") {
			if kind != "allow" || !harmless[permission] {
				return entry(line)
			}
		}
	}
	return ""
}

// entry names an entry for a person, and is never empty.
func entry(line string) string {
	if line == "" {
		return "an empty entry"
	}
	return line
}

// Reads returns the first entry of an access control list that lets somebody read
// an object, or that is not understood; "" for none.
func Reads(list string) string {
	for i, line := range strings.Split(strings.TrimSuffix(list, "\n"), "\n") {
		if i == 0 && (line == "" || line == "!#acl 1") {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) != 6 || fields[4] != "deny" && !strings.HasPrefix(fields[4], "deny,") {
			return entry(line)
		}
	}
	return ""
}

// ReaderList is the access control list of a private copy: uid can read and
// execute it, and nobody else is mentioned. acl_from_text(3) finds the UUID of a
// user by its id.
func ReaderList(uid string, read bool) string {
	permissions := "execute,readattr,readextattr,readsecurity"
	if read {
		permissions = "read," + permissions
	}
	return "!#acl 1\nuser:::" + uid + ":allow:" + permissions + "\n"
}
