package keeperpolicy

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is looked at for every decision.
const (
	maxFollowed = 256    // directories whose changes are noticed
	maxVolatile = 64     // names below directories that users can change
	maxEntries  = 20_000 // of one directory
	// manyNames in one directory are looked for in a list of what lies there.
	manyNames = 256
)

// unsettled is how young a directory's time may be for two changes to have the
// same one.
const unsettled = 100 * time.Millisecond

// resolver follows a path, links included, to what exists. Each object on the
// way is shown to visit, with whether it is a link and whether administrators
// alone can change it. It does not block.
type resolver func(path string, visit func(at string, link, protected bool)) (string, error)

// linked knows which of the names that policies use lead to which program: a DENY
// of /usr/bin/awk is one of what awk links to. Links change while the agent
// runs, so the directories that they lie in are looked at for every decision.
type linked struct {
	resolve resolver

	mu       sync.Mutex
	names    []name
	followed map[string]*directory
	volatile []int               // indices of names
	leads    map[string][]string // by program
	// unfollowed counts the names whose changes are not noticed.
	unfollowed int

	// While many names are looked at: what lies in a directory, and what told it from
	// itself before anybody looked.
	lists  map[string]list
	stamps map[string]os.FileInfo
}

// name is a path, or a directory of links, that policies name.
type name struct {
	path   string
	folder bool
	pairs  []pair
	// partly is set when something that it depends on is not followed.
	partly bool
}

type pair struct{ link, program string }

type directory struct {
	stamp os.FileInfo // nil: not settled, or not there
	names map[int]bool
}

// newLinked looks at paths, of which directories end in "/".
func newLinked(paths []string, resolve resolver) *linked {
	l := &linked{resolve: resolve, followed: map[string]*directory{}, leads: map[string][]string{}}
	if resolve == nil {
		return l
	}
	l.names = make([]name, 0, len(paths))
	for _, p := range paths {
		folder := len(p) > 1 && strings.HasSuffix(p, "/")
		l.names = append(l.names, name{path: strings.TrimSuffix(p, "/"), folder: folder})
	}
	all := make([]int, len(l.names))
	for i := range all {
		all[i] = i
	}
	l.list(all)
	for i := range l.names {
		switch protected := l.look(i); {
		case l.names[i].partly:
			l.unfollowed++
		case protected || l.names[i].folder:
		case len(l.volatile) < maxVolatile:
			l.volatile = append(l.volatile, i)
		default:
			l.unfollowed++
		}
	}
	l.lists, l.stamps = nil, nil
	l.to("") // now that it is known what to watch: nothing changed in between
	return l
}

// to returns the links that lead to program now.
func (l *linked) to(program string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	stale := map[int]bool{}
	for dir, d := range l.followed {
		now := stampOf(dir)
		if same(d.stamp, now) {
			continue
		}
		d.stamp = now
		for i := range d.names {
			stale[i] = true
		}
	}
	for _, i := range l.volatile {
		stale[i] = true
	}
	if len(stale) >= manyNames {
		l.list(slices.Collect(maps.Keys(stale)))
	}
	for i := range stale {
		l.look(i)
	}
	l.lists, l.stamps = nil, nil
	return l.leads[program]
}

// look finds out where name i leads, and what that depends on. It reports whether
// administrators alone can change the way there.
func (l *linked) look(i int) bool {
	n := &l.names[i]
	for _, p := range n.pairs {
		l.leads[p.program] = without(l.leads[p.program], func(link string) bool { return link == p.link })
	}
	n.pairs = n.pairs[:0]
	if !n.folder {
		return l.follow(i, n.path)
	}
	// In a directory of their own, users evade a policy by another name anyway.
	if _, protected, err := l.walk(i, n.path); err != nil || !protected {
		return false
	}
	dir, err := os.Open(n.path)
	if err != nil {
		return true
	}
	defer dir.Close()
	l.depend(i, n.path)
	entries, _ := dir.ReadDir(maxEntries)
	for _, entry := range entries {
		if entry.Type()&os.ModeSymlink != 0 {
			l.follow(i, n.path+"/"+entry.Name())
		}
	}
	return true
}

// follow records where one path leads, if it is a link or leads through one.
func (l *linked) follow(i int, from string) (protected bool) {
	if dir := path.Dir(from); l.lists[dir].lacks(path.Base(from)) {
		l.depend(i, dir) // as walk does where the last step is missing
		return true
	}
	to, protected, err := l.walk(i, from)
	if err == nil && to != from {
		l.names[i].pairs = append(l.names[i].pairs, pair{from, to})
		l.leads[to] = append(l.leads[to], from)
	}
	return protected
}

// walk resolves a path and notes the directories on which that depends: those
// that links on the way lie in, and the last one. Another one that is exchanged
// makes another of these. It does so as far as administrators alone can change
// them: what users can change may have become a file system that answers nobody
// by the time it is looked at.
func (l *linked) walk(i int, from string) (to string, protected bool, err error) {
	protected = true
	last := "/"
	to, err = l.resolve(from, func(at string, link, safe bool) {
		if link && protected {
			l.depend(i, path.Dir(at))
		}
		protected = protected && safe
		last = at
	})
	if err != nil && protected {
		l.depend(i, last) // where the next step was missing
	} else if err == nil && protected {
		l.depend(i, path.Dir(to))
	}
	return to, protected, err
}

// depend notes that name i depends on what lies in dir.
func (l *linked) depend(i int, dir string) {
	d := l.followed[dir]
	if d == nil {
		if len(l.followed) >= maxFollowed {
			l.names[i].partly = true
			return
		}
		d = &directory{stamp: l.stamps[dir], names: map[int]bool{}}
		l.followed[dir] = d
	}
	d.names[i] = true
}

// stampOf is what tells a directory from itself after a change; nil if the next
// change might not show.
func stampOf(dir string) os.FileInfo {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil
	}
	if age := time.Since(info.ModTime()); age >= 0 && age < unsettled {
		return nil
	}
	return info
}

func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime())
}
