//go:build linux

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

// answers stand for getent and what the directories behind it say.
type answers struct {
	lines map[string]string // by arguments
	fails bool
	hangs time.Duration
	asked []string
}

func (d *answers) ask(arguments ...string) ([]byte, bool, error) {
	key := strings.Join(arguments, " ")
	d.asked = append(d.asked, key)
	time.Sleep(d.hangs)
	if d.fails {
		return nil, false, os.ErrDeadlineExceeded
	}
	line, found := d.lines[key]
	return []byte(line), found, nil
}

// joined is a machine whose nsswitch.conf names these sources, for users and for
// groups alike.
func joined(t *testing.T, sources string, d *answers) Accounts {
	t.Helper()
	a := accounts(t, "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
		"root:x:0:\nalice:x:1000:\nops:x:500:carol\n")
	must(t, os.WriteFile(a.subuid.path, []byte("alice:100000:65536\nbroken\n"), 0o644))
	a.directory = newDirectory()
	a.directory.conf, a.directory.ask = newTable(filepath.Join(t.TempDir(), "nsswitch.conf"), parseSource), d.ask
	must(t, os.WriteFile(a.directory.conf.path, []byte("passwd: "+sources+" # a comment: x\ngroup: "+sources+"\nhosts: dns\n"), 0o644))
	return a
}

// corp is a directory with one user.
func corp() *answers {
	carol := "carol:*:200001:200100:Carol:/home/carol:/bin/bash\n"
	return &answers{lines: map[string]string{
		"passwd -- 200001": carol, "passwd -- carol": carol,
		"initgroups -- carol":    "carol                 200100 200200\n",
		"initgroups -- alice":    "alice                 200200\n",
		"initgroups -- root":     "root\n",
		"group -- 200100 200200": "domain users:*:200100:\nadmins@corp:*:200200:carol,alice\n",
		"group -- 200200":        "admins@corp:*:200200:carol,alice\n",
	}}
}

func TestAccountsOfADirectory(t *testing.T) {
	a := joined(t, "files sss", corp())
	carol := core.Account{
		User: "200001", Name: "carol", Group: "200100", Groups: []string{"200100", "500", "200200"}, Home: "/home/carol", Shell: "/bin/bash",
	}
	alice := core.Account{User: "1000", Name: "alice", Group: "1000", Groups: []string{"1000", "200200"}, Home: "/home/alice", Shell: "/bin/sh"}
	for _, ask := range []struct {
		by   string
		want core.Account
	}{{"#200001", carol}, {"carol", carol}, {"alice", alice}, {"#1000", alice}} {
		if got, err := a.ByName(ask.by); err != nil || !reflect.DeepEqual(got, ask.want) {
			t.Errorf("%s: %+v, %v\nexpected %+v", ask.by, got, err, ask.want)
		}
	}
	names, err := a.GroupNames([]string{"200100", "500", "200200"})
	if want := map[string][]string{"200100": {"domain users"}, "500": {"ops"}, "200200": {"admins@corp"}}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("%v, %v; expected %v", names, err, want)
	}
}

// Where only files are named, or systemd's own accounts as on most machines,
// nobody is asked about local users.
func TestLocalUsersAskNobody(t *testing.T) {
	for _, sources := range []string{"files", "files systemd", "files [NOTFOUND=return] systemd", "compat"} {
		d := corp()
		a := joined(t, sources, d)
		if _, err := a.ByName("alice"); err != nil {
			t.Error(err)
		}
		if _, err := a.GroupNames([]string{"1000", "500"}); err != nil || len(d.asked) != 0 {
			t.Errorf("%s: %v asked, %v", sources, d.asked, err)
		}
	}
	d := corp()
	if _, err := joined(t, "files", d).ByID("200001"); !errors.Is(err, core.ErrNoAccount) || len(d.asked) != 0 {
		t.Errorf("no directory is named: %v, %v", d.asked, err)
	}
}

// What a directory must not be able to say, or cannot be asked.
func TestDirectoriesThatAreNotBelieved(t *testing.T) {
	for name, tc := range map[string]struct {
		by     string
		answer map[string]string
	}{
		"a local user's name":            {"#200002", map[string]string{"passwd -- 200002": "alice:*:200002:1::/:\n"}},
		"the name of root":               {"#200002", map[string]string{"passwd -- 200002": "root:*:200002:1::/:\n"}},
		"a local user's number":          {"eve", map[string]string{"passwd -- eve": "eve:*:1000:1::/:\n"}},
		"root's number":                  {"eve", map[string]string{"passwd -- eve": "eve:*:0:0::/:\n"}},
		"another user":                   {"#200002", map[string]string{"passwd -- 200002": "eve:*:200003:1::/:\n"}},
		"another name":                   {"eve", map[string]string{"passwd -- eve": "mallory:*:200002:1::/:\n", "passwd -- 200002": "mallory:*:200002:1::/:\n"}},
		"a number as a name":             {"#200002", map[string]string{"passwd -- 200002": "4242:*:200002:1::/:\n"}},
		"a number is no name":            {"200002", map[string]string{"passwd -- 200002": "eve:*:200002:1::/:\n"}},
		"two entries":                    {"#200002", map[string]string{"passwd -- 200002": "eve:*:200002:1::/:\nmallory:*:200002:1::/:\n"}},
		"no entry":                       {"#200002", map[string]string{"passwd -- 200002": "garbage\n"}},
		"a container's user":             {"#600000", map[string]string{"passwd -- 600000": "vu-box-0:*:600000:600000::/:\n"}},
		"a user of a running service":    {"#61184", map[string]string{"passwd -- 61184": "dyn:*:61184:61184::/:\n"}},
		"one of our own readers":         {"#2130706432", map[string]string{"passwd -- 2130706432": "r:*:2130706432:1::/:\n"}},
		"a subordinate id":               {"#100000", map[string]string{"passwd -- 100000": "sub:*:100000:1::/:\n"}},
		"the last subordinate id":        {"#165535", map[string]string{"passwd -- 165535": "sub:*:165535:1::/:\n"}},
		"a name that is several entries": {"a:b", map[string]string{"passwd -- a:b": "a:*:200002:1::/:\n"}},
	} {
		d := &answers{lines: tc.answer}
		for by := range d.lines {
			d.lines["initgroups -- "+strings.TrimPrefix(by, "passwd -- ")] = "x\n"
		}
		if got, err := joined(t, "files sss", d).ByName(tc.by); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// The id after a subordinate range is a directory's like any other.
	d := &answers{lines: map[string]string{"passwd -- 165536": "eve:*:165536:1::/:\n", "initgroups -- eve": "eve 1\n"}}
	if got, err := joined(t, "files sss", d).ByID("165536"); err != nil || got.Name != "eve" {
		t.Errorf("%+v, %v", got, err)
	}
}

// An answer that is older than five seconds counts for nothing, and a directory
// that does not answer knows nobody and nobody's groups.
func TestADirectorysAnswersAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := corp()
		a := joined(t, "files sss", d)
		for range 3 {
			if _, err := a.ByID("200001"); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"passwd -- 200001", "initgroups -- carol"}; !slices.Equal(d.asked, want) {
			t.Errorf("asked %v, expected %v", d.asked, want)
		}
		d.fails = true
		time.Sleep(directoryAge - time.Millisecond)
		if _, err := a.ByID("200001"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
		if got, err := a.ByID("200001"); !errors.Is(err, core.ErrNoAnswer) {
			t.Errorf("without its directory: %+v, %v", got, err)
		}
		if got, err := a.ByID("1000"); err != nil || !got.GroupsUnknown {
			t.Errorf("a local user without the directory: %+v, %v", got, err)
		}
		if names, err := a.GroupNames([]string{"500", "200200"}); !errors.Is(err, core.ErrNoAnswer) || names["500"] == nil {
			t.Errorf("names without the directory: %v, %v", names, err)
		}
		d.fails, d.lines = false, nil
		time.Sleep(directoryAge)
		if got, err := a.ByID("200001"); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("who is not there any more: %+v, %v", got, err)
		}
	})
}

// Many who ask the same wait for one answer, and many questions for each other.
func TestADirectoryIsAskedByFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.conf = newTable(filepath.Join(t.TempDir(), "nsswitch.conf"), parseSource)
		must(t, os.WriteFile(d.conf.path, []byte("passwd: sss\n"), 0o644))
		running, most := 0, 0
		d.ask = func(arguments ...string) ([]byte, bool, error) {
			d.mu.Lock()
			running++
			most = max(most, running)
			d.mu.Unlock()
			time.Sleep(time.Second)
			d.mu.Lock()
			running--
			d.mu.Unlock()
			return nil, false, nil
		}
		ended := make(chan error, 40)
		for i := range 40 {
			go func() {
				_, err := d.byID(uint32(i / 4))
				ended <- err
			}()
		}
		unanswered := 0
		for range 40 {
			if err := <-ended; errors.Is(err, core.ErrNoAnswer) {
				unanswered++
			} else if !errors.Is(err, core.ErrNoAccount) {
				t.Error(err)
			}
		}
		if most != maxAsking || unanswered > 8 {
			t.Errorf("%d questions at once, %d were not answered", most, unanswered)
		}
	})
}

func TestWhoseShareSomebodyHas(t *testing.T) {
	a := joined(t, "files sss", corp())
	for _, tc := range []struct{ user, want core.UserID }{
		{"1000", "1000"}, {"200001", core.Unknown}, {"4242", core.Unknown}, {"100000", core.Unknown},
	} {
		if got := a.Share(tc.user); got != tc.want {
			t.Errorf("%s: %s, expected %s", tc.user, got, tc.want)
		}
	}
	if _, err := a.ByID("200001"); err != nil {
		t.Fatal(err)
	}
	if got := a.Share("200001"); got != "200001" {
		t.Errorf("who has been found has the share of %s", got)
	}
}

// The real getent, as a process of its own: without privilege or environment.
func TestGetent(t *testing.T) {
	line, found, err := getent("passwd", "--", "0")
	if err != nil || !found || !strings.HasPrefix(string(line), "root:") {
		t.Errorf("root: %q, %v, %v", line, found, err)
	}
	if line, found, err := getent("passwd", "--", "no such user"); err != nil || found || len(line) != 0 {
		t.Errorf("nobody: %q, %v, %v", line, found, err)
	}
	if line, found, err := getent("--", "--no-such-database"); err == nil {
		t.Errorf("no database: %q, %v", line, found)
	}
	if line, _, err := getent("passwd", "--", "--help"); err != nil || len(line) != 0 {
		t.Errorf("a name that looks like an option: %q, %v", line, err)
	}
}
