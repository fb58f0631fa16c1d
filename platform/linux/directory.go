//go:build linux

package linux

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kpm/core"
)

// directory asks the sources of nsswitch.conf(5) that are no files, such as
// SSSD, LDAP or systemd-homed. The C library loads a module for each, which
// this service does not; getent(1) does, as a user of its own and without
// privilege (getent.go). A nil directory knows nobody.
type directory struct {
	conf *table[source] // nsswitch.conf
	ask  func(arguments ...string) (answer []byte, found bool, err error)
	now  func() time.Time

	running chan struct{} // one for each question that is being asked

	mu      sync.Mutex
	answers map[string]*reply
	people  map[core.UserID]bool // who has been found; for Share alone
}

// reply is the answer to one question, or will be.
type reply struct {
	ready chan struct{}
	lines []string
	err   error
	at    time.Time // when it was asked: nothing in it is younger
}

const (
	// directoryAge is how long an answer counts. An older one would grant what
	// the directory does not any more.
	directoryAge = 5 * time.Second
	// maxAsking is how many questions are asked at once.
	maxAsking = 4
	// maxReplies bounds those that are kept, maxPeople who is remembered.
	maxReplies, maxPeople = 1024, 1 << 16
	// maxNamed is how many groups are asked for at once: more than the kernel
	// counts anybody in are not asked for.
	maxNamed = 256
)

func newDirectory() *directory {
	return &directory{conf: newTable("/etc/nsswitch.conf", parseSource), ask: getent, now: time.Now, running: make(chan struct{}, maxAsking), answers: map[string]*reply{}, people: map[core.UserID]bool{}}
}

// question returns the lines that getent prints for its arguments; none if
// there is no such entry.
func (d *directory) question(arguments ...string) ([]string, error) {
	key := strings.Join(arguments, "\x00")
	d.mu.Lock()
	r, asked := d.answers[key]
	if !asked || d.now().Sub(r.at) >= directoryAge {
		r = &reply{ready: make(chan struct{}), at: d.now()}
		d.keep(key, r)
		d.mu.Unlock()
		d.answer(r, arguments)
		return r.lines, r.err
	}
	d.mu.Unlock()
	<-r.ready // whoever asked first is bounded in time
	return r.lines, r.err
}

func (d *directory) answer(r *reply, arguments []string) {
	defer close(r.ready)
	select {
	case d.running <- struct{}{}:
		defer func() { <-d.running }()
	case <-time.After(getentTime):
		r.err = fmt.Errorf("%w: too many questions at once", core.ErrNoAnswer)
		return
	}
	out, found, err := d.ask(arguments...)
	switch {
	case err != nil:
		r.err = fmt.Errorf("%w: %w", core.ErrNoAnswer, err)
	case found || len(out) > 0:
		r.lines = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	}
}

// keep remembers a reply in the place of those that count no more. d.mu is held.
func (d *directory) keep(key string, r *reply) {
	if len(d.answers) >= maxReplies {
		for key, old := range d.answers {
			if d.now().Sub(old.at) >= directoryAge {
				delete(d.answers, key)
			}
		}
	}
	if len(d.answers) >= maxReplies {
		clear(d.answers)
	}
	d.answers[key] = r
}

// byID returns the account of a uid, without groups.
func (d *directory) byID(uid uint32) (core.Account, error) {
	return d.account(strconv.FormatUint(uint64(uid), 10))
}

// byName returns the account of a name, without groups. getent takes what is
// all digits for a uid; such a name is nobody's.
func (d *directory) byName(name string) (core.Account, error) {
	if name == "" || strings.Trim(name, "0123456789") == "" || strings.ContainsAny(name, ":\n\x00") {
		return core.Account{}, core.ErrNoAccount
	}
	return d.account(name)
}

func (d *directory) account(key string) (core.Account, error) {
	if d == nil || !d.has("passwd") {
		return core.Account{}, core.ErrNoAccount
	}
	lines, err := d.question("passwd", "--", key)
	if err != nil {
		return core.Account{}, err
	}
	if len(lines) != 1 {
		return core.Account{}, core.ErrNoAccount
	}
	account, ok := parsePasswd(lines[0])
	// "vu-" are users of containers that systemd names.
	if !ok || strings.HasPrefix(account.Name, "vu-") || strings.Trim(account.Name, "0123456789") == "" {
		return core.Account{}, core.ErrNoAccount
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.people) < maxPeople {
		d.people[account.User] = true
	}
	return account, nil
}

// groupsOf returns the groups that an account is in by the directories. remote
// is true for an account of theirs. What systemd makes of its own accounts and
// groups is no reason to ask about others: most machines have it, and nothing
// else.
func (d *directory) groupsOf(name string, remote bool) ([]string, error) {
	if d == nil || !remote && !d.has("group", "systemd") && !d.has("initgroups", "systemd") {
		return nil, nil
	}
	lines, err := d.question("initgroups", "--", name)
	if err != nil || len(lines) != 1 {
		return nil, cmp.Or(err, fmt.Errorf("%w: no groups of %q", core.ErrNoAnswer, name))
	}
	rest, ok := strings.CutPrefix(lines[0], name)
	if !ok {
		return nil, fmt.Errorf("%w: groups of somebody else than %q", core.ErrNoAnswer, name)
	}
	var gids []string
	for _, field := range strings.Fields(rest) {
		gid, ok := entryID(field)
		if !ok {
			return nil, fmt.Errorf("%w: %q is no group of %q", core.ErrNoAnswer, field, name)
		}
		gids = append(gids, gid)
	}
	return gids, nil
}

// groupNames returns what groups are called that the directories know. A
// directory that is down answers like one that does not know a group; so one
// without a name is core.ErrNoAnswer where there are others than systemd's.
func (d *directory) groupNames(gids []string) (map[string]string, error) {
	if d == nil || len(gids) == 0 || !d.has("group") {
		return nil, nil
	}
	if len(gids) > maxNamed {
		return nil, fmt.Errorf("%w: more than %d groups", core.ErrNoAnswer, maxNamed)
	}
	lines, err := d.question(append([]string{"group", "--"}, gids...)...)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, line := range lines {
		if g, ok := parseGroupEntry(line); ok && slices.Contains(gids, g.gid) && names[g.gid] == "" {
			names[g.gid] = g.name
		}
	}
	if len(names) < len(gids) && d.has("group", "systemd") {
		return names, fmt.Errorf("%w: some groups have no name", core.ErrNoAnswer)
	}
	return names, nil
}

// known reports whether a user has been found in a directory.
func (d *directory) known(id core.UserID) bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.people[id]
}

// has reports whether a database of nsswitch.conf names a source that is no
// file, apart from some. Without the file there are only files.
func (d *directory) has(database string, apart ...string) bool {
	// A file that cannot be read names no source to the C library either.
	lines, _ := d.conf.all()
	for _, line := range lines {
		if line.database == database {
			return slices.ContainsFunc(line.names, func(name string) bool {
				return !slices.Contains(fileSources, name) && !slices.Contains(apart, name)
			})
		}
	}
	return false
}

// source is a line of nsswitch.conf(5): a database and where it is looked up.
type source struct {
	database string
	names    []string
}

func parseSource(line string) (source, bool) {
	line, _, _ = strings.Cut(line, "#")
	database, rest, ok := strings.Cut(line, ":")
	names := slices.DeleteFunc(strings.Fields(rest), func(name string) bool {
		return strings.ContainsAny(name, "[]=") // an action: "[NOTFOUND=return]"
	})
	return source{strings.TrimSpace(database), names}, ok
}

// fileSources are those that say nothing but what is in /etc/passwd and
// /etc/group.
var fileSources = []string{"files", "compat"}
