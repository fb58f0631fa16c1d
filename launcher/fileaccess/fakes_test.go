package fileaccess

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
)

// disk is a file system with access control lists, in memory. A list is a map from
// users to what it gives them, as JSON.
type disk struct {
	files map[string]*node
	inode uint64
	// fails is what Write returns; unprotected are folders that users can change.
	fails       error
	unprotected map[string]bool
	people      []core.Account
	unknown     error // of People
	// killed is called before each write, and after it.
	killed func(when string)
}

type node struct {
	inode uint64
	mu    sync.Mutex // of list
	list  map[string]string
	exec  bool
	owner core.UserID
}

func (d *disk) put(at string, n *node) {
	d.inode++
	n.inode = d.inode
	if n.list == nil {
		n.list = map[string]string{"group": "r"}
	}
	if n.owner == "" {
		n.owner = "0"
	}
	d.files[at] = n
}

func (d *disk) Open(at string) (port.AccessFile, error) {
	n, there := d.files[at]
	switch {
	case d.unprotected[path.Dir(at)]:
		return nil, fmt.Errorf("%s: %w", at, core.ErrNotProtected)
	case !there:
		return nil, fmt.Errorf("%s: %w", at, fs.ErrNotExist)
	}
	return &openNode{d, n, at}, nil
}

func (d *disk) Reopen(ref core.FileRef) (port.AccessFile, error) {
	for at, n := range d.files {
		if n.inode == ref.Inode {
			return &openNode{d, n, at}, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (d *disk) Below(folder string, limit int) (list []string, err error) {
	for _, at := range slices.Sorted(maps.Keys(d.files)) {
		switch {
		case !strings.HasPrefix(at, folder+"/"):
		case d.unprotected[path.Dir(at)]:
			err = core.ErrNotProtected
		case len(list) < limit:
			list = append(list, at)
		}
	}
	return list, err
}

func (d *disk) With(list []byte, user core.UserID, access core.Access) ([]byte, error) {
	m := decoded(list)
	m[string(user)] = map[core.Access]string{core.Denied: "-", core.ReadWrite: "rw"}[access]
	return encoded(m), nil
}

func (d *disk) Without(list, before []byte, user core.UserID) ([]byte, error) {
	m, was := decoded(list), decoded(before)
	delete(m, string(user))
	if rights, there := was[string(user)]; there {
		m[string(user)] = rights
	}
	return encoded(m), nil
}

func (d *disk) People() ([]core.Account, error) { return d.people, d.unknown }

func decoded(list []byte) (m map[string]string) {
	if err := json.Unmarshal(list, &m); err != nil {
		panic(err)
	}
	return m
}

func encoded(m map[string]string) []byte {
	list, err := json.Marshal(m) // in the order of keys
	if err != nil {
		panic(err)
	}
	return list
}

func (n *node) shown() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return encoded(n.list)
}

type openNode struct {
	disk *disk
	node *node
	at   string
}

func (f *openNode) Ref() core.FileRef {
	return core.FileRef{Path: f.at, Device: 1, Inode: f.node.inode}
}
func (f *openNode) Info() port.FileInfo {
	return port.FileInfo{Path: f.at, Device: 1, Inode: f.node.inode, Regular: true, Exec: f.node.exec, Owner: f.node.owner}
}
func (f *openNode) Read() ([]byte, error) { return f.node.shown(), nil }
func (f *openNode) Close() error          { return nil }
func (f *openNode) Write(list []byte) error {
	if f.disk.fails != nil {
		return f.disk.fails
	}
	if f.disk.killed != nil {
		f.disk.killed("before")
	}
	f.node.mu.Lock()
	f.node.list = decoded(list)
	f.node.mu.Unlock()
	if f.disk.killed != nil {
		f.disk.killed("after")
	}
	return nil
}

// accounts are people by name.
type accounts map[string]core.UserID

func (a accounts) ByName(name string) (core.Account, error) {
	for known, id := range a {
		if known == name || "#"+string(id) == name {
			return core.Account{Name: known, User: id}, nil
		}
	}
	return core.Account{}, core.ErrNoAccount
}

func (a accounts) ByID(id core.UserID) (core.Account, error) { return a.ByName("#" + string(id)) }
func (a accounts) GroupNames([]string) (map[string][]string, error) {
	return map[string][]string{"50": {"staff"}}, nil
}
func (a accounts) Share(id core.UserID) core.UserID { return id }
func (a accounts) Administrator() bool              { return true }

// bench is a keeper with everything around it.
type bench struct {
	*Keeper
	t       *testing.T
	disk    *disk
	saved   []byte
	full    error // of the state's file
	deaf    error // of the journal
	events  []Event
	boot    string
	started time.Time
	people  accounts
}

func newBench(t *testing.T) *bench {
	b := &bench{
		t: t, boot: "one", started: time.Now(), people: accounts{"ann": "1000", "bob": "1001", "root": "0", "dora": "70000"},
		disk: &disk{files: map[string]*node{}, unprotected: map[string]bool{}, people: []core.Account{
			{Name: "ann", User: "1000", Groups: []string{"100"}}, {Name: "bob", User: "1001", Groups: []string{"100", "50"}},
		}},
	}
	b.open()
	return b
}

// open starts the next service on what is there.
func (b *bench) open() {
	b.Keeper = Open(Config{
		Lists: b.disk, Accounts: b.people, Clock: b, Administrator: "0", Platform: core.Linux, Log: slog.New(slog.DiscardHandler),
		File: statefile.File{
			Path: "/state",
			Read: func(string) ([]byte, error) {
				if b.saved == nil {
					return nil, fs.ErrNotExist
				}
				return b.saved, nil
			},
			WriteAtomic: func(_ string, data []byte, _ os.FileMode) error {
				if b.full == nil {
					b.saved = data
				}
				return b.full
			},
		},
		Record: func(e Event) error {
			if b.deaf == nil {
				b.events = append(b.events, e)
			}
			return b.deaf
		},
	})
}

func (b *bench) Now() (string, time.Duration, error) { return b.boot, time.Since(b.started), nil }

// rules puts rules in force, and has the keeper look.
func (b *bench) keep(rules ...core.FileRule) {
	b.SetRules(core.FileRules{Rules: rules})
	b.Look()
}

func (b *bench) list(at string) string { return string(b.disk.files[at].shown()) }

// is holds the list of a file against what it should be.
func (b *bench) is(at, want string) {
	b.t.Helper()
	if got := b.list(at); got != want {
		b.t.Errorf("%s has %s, expected %s", at, got, want)
	}
}

// what are the events since it was asked last.
func (b *bench) what() (list []What) {
	for _, e := range b.events {
		list = append(list, e.What)
	}
	b.events = nil
	return list
}

func rule(id string, users []string, files ...string) core.FileRule {
	return core.FileRule{PolicyRef: core.PolicyRef{ID: id}, Users: users, Files: files}
}

var errFull = errors.New("no space left")
