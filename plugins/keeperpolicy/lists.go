package keeperpolicy

import (
	"os"
	"path"
	"strings"
)

// list is what lies in a directory, in lower case; nil if that is not known. A set of
// policies for many machines names programs that most of them lack, and to find each
// missing takes a walk from the root.
type list map[string]struct{}

// lacks reports whether nothing can be there by this name. Only of plain names can that be
// told without asking the file system, which may take two spellings for one.
func (l list) lacks(name string) bool {
	if l == nil || !plainName(name) {
		return false
	}
	_, there := l[strings.ToLower(name)]
	return !there
}

// plainName reports whether name is of letters, digits and signs that no file system reads
// in a way of its own.
func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("._-+", c) < 0 {
			return false
		}
	}
	return strings.Trim(name, ".") != "" && !strings.HasSuffix(name, ".")
}

// list lists the directories in which many of these names lie. Until that is forgotten,
// whoever comes to depend on one of them knows what told it from itself before.
func (l *linked) list(names []int) {
	count := map[string]int{}
	for _, i := range names {
		if n := &l.names[i]; !n.folder {
			count[path.Dir(n.path)]++
		}
	}
	l.lists, l.stamps = map[string]list{}, map[string]os.FileInfo{}
	for dir, n := range count {
		// Attack: what users can change may be a file system that answers nobody.
		if n >= manyNames && l.plain(dir) {
			l.stamps[dir] = stampOf(dir) // first, or what comes meanwhile would be missed
			l.lists[dir] = listOf(dir)
		}
	}
}

// plain reports whether no link leads to a directory, and administrators alone can change
// it and all above it.
func (l *linked) plain(dir string) bool {
	plain := true
	to, err := l.resolve(dir, func(_ string, link, protected bool) { plain = plain && !link && protected })
	return err == nil && to == dir && plain
}

func listOf(dir string) list {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries)
	if err != nil || len(names) == maxEntries {
		return nil
	}
	found := make(list, len(names))
	for _, name := range names {
		found[strings.ToLower(name)] = struct{}{}
	}
	return found
}
