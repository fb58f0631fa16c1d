// Package accesslist changes extended access control lists of macOS, as text. It is
// pure: it opens no file and looks nobody up.
//
// A list has the form of acl_to_text(3), with nothing in it that is looked up anew each
// time: who an entry is for is its UUID, and permissions are in alphabetical order.
// So two lists are equal if their texts are. One without entries is empty.
//
//	!#acl 1
//	user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F5:::deny:read,write
package accesslist

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
)

const header = "!#acl 1"

// None is the text of a list without entries, as acl_from_text(3) reads it.
const None = header + "\n"

// maxEntries is the most that the kernel keeps (sys/kauth.h, KAUTH_ACL_MAX_ENTRIES).
const maxEntries = 128

// ErrMalformed is wrapped by everything that Canonical refuses.
var ErrMalformed = errors.New("not an access control list of macOS")

// What our entries deny and allow (sys/acl.h, as acl_from_text(3) reads it). Who is
// denied a file may not let themselves in by another entry's right to change the list.
const (
	denied  = "append,chown,delete,execute,read,readextattr,write,writeattr,writeextattr,writesecurity"
	allowed = "append,read,readattr,readextattr,readsecurity,write,writeattr,writeextattr"
)

// Canonical is a text of acl_to_text(3) in the form of this package.
func Canonical(text string) (string, error) {
	var list []string
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if i == 0 {
			if line != "" && line != header {
				return "", fmt.Errorf("%w: it begins with %q, expected %q", ErrMalformed, line, header)
			}
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) != 6 || fields[0] != "user" && fields[0] != "group" || fields[1] == "" {
			return "", fmt.Errorf("%w: entry %d is %q", ErrMalformed, i, line)
		}
		kind, flags, _ := strings.Cut(fields[4], ",")
		if kind != "allow" && kind != "deny" {
			return "", fmt.Errorf("%w: entry %d neither allows nor denies: %q", ErrMalformed, i, line)
		}
		if flags != "" {
			kind += "," + sorted(flags)
		}
		list = append(list, strings.Join([]string{fields[0], strings.ToUpper(fields[1]), "", "", kind, sorted(fields[5])}, ":"))
	}
	if len(list) > maxEntries {
		return "", fmt.Errorf("%w: it has %d entries, the most are %d", ErrMalformed, len(list), maxEntries)
	}
	return written(list), nil
}

func sorted(names string) string {
	list := strings.Split(names, ",")
	slices.Sort(list)
	return strings.Join(list, ",")
}

func written(entries []string) string {
	if len(entries) == 0 {
		return ""
	}
	return header + "\n" + strings.Join(entries, "\n") + "\n"
}

// entries of a list in the form of this package.
func entries(list string) []string {
	lines := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	return lines[1:]
}

// With returns list with an entry that gives a user that access. It comes first: the
// kernel goes by the first entry that says something about a permission.
func With(list, uuid string, access core.Access) string {
	says := "deny:" + denied
	if access == core.ReadWrite {
		says = "allow:" + allowed
	}
	return written(append([]string{of(uuid) + "::" + says}, others(list, uuid)...))
}

// Without returns list with what before has for the user, and everybody else as they
// are.
func Without(list, before, uuid string) string {
	all, at := others(list, uuid), 0
	for _, e := range entries(before) {
		switch i := slices.Index(all, e); {
		case is(e, uuid):
			all = slices.Insert(all, at, e) // behind what it was behind
			at++
		case i >= at:
			at = i + 1
		}
	}
	return written(all)
}

// others are the entries that are not that user's own. What a folder has handed down
// to the file is not the file's: it stays.
func others(list, uuid string) []string {
	return slices.DeleteFunc(slices.Clone(entries(list)), func(e string) bool { return is(e, uuid) })
}

func of(uuid string) string { return "user:" + strings.ToUpper(uuid) + ":" }

func is(entry, uuid string) bool {
	return strings.HasPrefix(entry, of(uuid)) && !strings.Contains(entry, ",inherited")
}
