package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/platform/none"
)

// desk is a machine at which somebody is logged in.
type desk struct {
	none.Sessions
	sessions []core.Session
}

func (d desk) List(context.Context) ([]core.Session, error) { return d.sessions, nil }

type deskAccounts struct{ port.Accounts }

func (deskAccounts) ByID(user core.UserID) (core.Account, error) {
	if user == "S-1-5-21-1-2-3-9" {
		return core.Account{}, core.ErrNoAccount
	}
	return core.Account{User: user, Name: "name of " + string(user)}, nil
}

// Whoever Windows asks is told, in their session, once a minute about one program;
// nobody else hears of it.
func TestElevationsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := none.Host(port.Facts{Platform: core.Windows})
		host.Accounts = deskAccounts{}
		host.Sessions = desk{sessions: []core.Session{{ID: "1", User: "S-1-5-21-1-2-3-7"}, {ID: "2", User: "S-1-5-21-1-2-3-8"}, {ID: "3", User: "S-1-5-21-1-2-3-9"}}}
		type said struct {
			user          core.UserID
			name, session string
			view.Notice
		}
		var heard []said
		e := newElevations(host, func(user core.UserID, name, session string, one view.Notice) {
			heard = append(heard, said{user, name, session, one})
		})
		for _, c := range []struct {
			session core.SessionID
			path    string
			wait    time.Duration
			tells   bool
			want    error
		}{
			{"1", `C:\Setup.exe`, 0, true, nil},
			{"1", `c:\setup.EXE`, time.Second, false, nil}, // the same program
			{"2", `C:\Setup.exe`, 0, true, nil},
			{"1", `C:\Other.exe`, 0, true, nil},
			{"1", `C:\Setup.exe`, time.Minute, true, nil},
			{"4", `C:\Setup.exe`, 0, false, errNobodyThere},
			{"", `C:\Setup.exe`, 0, false, errNobodyThere},
			{"3", `C:\Setup.exe`, 0, false, core.ErrNoAccount}, // who has just been deleted
		} {
			time.Sleep(c.wait)
			before := len(heard)
			_, told, err := e.offer(t.Context(), port.Elevation{Path: c.path, Session: c.session})
			if !errors.Is(err, c.want) || (len(heard) > before) != c.tells || told != c.tells {
				t.Errorf("%+v: %v, told %v", c, err, heard[before:])
			}
			if len(heard) > before {
				one := heard[before]
				if one.Kind != view.NoticeElevation || one.session != string(c.session) || !strings.Contains(one.Text, c.path) || !strings.Contains(one.Text, "Run with Keeper") ||
					one.name != "name of "+string(one.user) {
					t.Errorf("%+v: %+v", c, one)
				}
			}
		}
		// Attack: somebody writes events of another program each, all day.
		before := len(heard)
		for i := range 5000 {
			if _, _, err := e.offer(t.Context(), port.Elevation{Path: fmt.Sprint(`C:\`, i), Session: "1"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(heard) - before; n > elevationsAtOnce {
			t.Errorf("told %d times", n)
		}
		if _, told, err := e.offer(t.Context(), port.Elevation{Path: `C:\Else.exe`, Session: "2"}); !told || err != nil {
			t.Errorf("somebody else: %v %v", told, err)
		}
	})
}

// What is said is of one line, whatever the file is called.
func TestElevationsOfFilesWithOddNames(t *testing.T) {
	host := none.Host(port.Facts{Platform: core.Windows})
	host.Accounts, host.Sessions = deskAccounts{}, desk{sessions: []core.Session{{ID: "1", User: "u"}}}
	var text string
	e := newElevations(host, func(_ core.UserID, _, _ string, one view.Notice) { text = one.Text })
	if _, _, err := e.offer(t.Context(), port.Elevation{Path: "C:\\a\u202eexe.txt\n\x1b[2J", Session: "1"}); err != nil {
		t.Fatal(err)
	}
	if text == "" || strings.ContainsAny(text, "\n\x1b\u202e") {
		t.Errorf("%q", text)
	}
}
