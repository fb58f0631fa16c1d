package inventory

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/shirou/gopsutil/v3/host"
)

// people is who has an account on this machine, and who is logged in.
type people struct {
	Accounts []account `json:"accounts"`
	Groups   []group   `json:"groups"`
	Sessions []session `json:"sessions"`
}

// account is a local one; those of a directory are not this machine's to count.
type account struct {
	Name  string `json:"name"`
	ID    string `json:"id"`
	Group string `json:"group"`
	Home  string `json:"home,omitempty"`
	Shell string `json:"shell,omitempty"`
}

type group struct {
	Name    string   `json:"name"`
	ID      string   `json:"id"`
	Members []string `json:"members,omitempty"`
}

type session struct {
	User     string `json:"user"`
	Terminal string `json:"terminal,omitempty"`
	Host     string `json:"host,omitempty"`
	Since    int    `json:"since,omitempty"` // seconds since 1970
}

func thePeople(ctx context.Context) (*people, error) {
	p := &people{Accounts: []account{}, Groups: []group{}, Sessions: []session{}}
	err := errors.Join(
		lines("/etc/passwd", 7, func(f []string) {
			p.Accounts = append(p.Accounts, account{Name: f[0], ID: f[2], Group: f[3], Home: f[5], Shell: f[6]})
		}),
		lines("/etc/group", 4, func(f []string) {
			members := strings.FieldsFunc(f[3], func(c rune) bool { return c == ',' })
			p.Groups = append(p.Groups, group{Name: f[0], ID: f[2], Members: members})
		}),
	)
	if err != nil {
		return nil, err
	}
	logins, err := host.UsersWithContext(ctx)
	if errors.Is(err, fs.ErrNotExist) { // no utmp: a container, or a system that has none
		return p, nil
	}
	for _, l := range logins {
		p.Sessions = append(p.Sessions, session{User: l.User, Terminal: l.Terminal, Host: l.Host, Since: l.Started})
	}
	return p, err
}

// lines calls found with the fields of each line of a file like /etc/passwd. Those of other
// length (NIS, comments) are left out.
func lines(path string, fields int, found func([]string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if list := strings.Split(s.Text(), ":"); len(list) == fields && !strings.HasPrefix(list[0], "#") && !strings.HasPrefix(list[0], "+") {
			found(list)
		}
	}
	return s.Err()
}
