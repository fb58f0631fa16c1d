package api_test

import (
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/fileaccess"
)

// fileGrantsOf has one grant of each of two users, of either kind.
type fileGrantsOf struct{ *world }

func fileGrant(id string, user core.UserID, path string) view.FileGrant {
	at := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	return view.FileGrant{ID: id, User: "u" + string(user), UserID: user, FilePath: path, Policies: []core.PolicyRef{{ID: "p", Name: "P"}},
		GivenBy: "Admin-0", GivenAt: at, Until: at.Add(time.Hour), SecondsLeft: 60}
}

func (fileGrantsOf) List(_ fileaccess.Kind, user core.UserID) (list []view.FileGrant) {
	for _, who := range []core.UserID{"1000", "1001"} {
		if user == "" || user == who {
			list = append(list, fileGrant("F"+string(who), who, "/srv/list"))
		}
	}
	return list
}

func (fileGrantsOf) Give(_ core.Principal, _ core.RequestID, length time.Duration) (view.FileGrant, error) {
	g := fileGrant("F1", "1000", "/srv/list")
	g.SecondsLeft = int64(length / time.Second)
	return g, nil
}

func (fileGrantsOf) GiveApproved(_ core.Principal, id string, _ time.Duration) (view.FileGrant, error) {
	return fileGrant(id, "1000", "/srv/list"), nil
}

func (fileGrantsOf) GiveTo(_ core.Principal, user, path string, length time.Duration) (view.FileGrant, error) {
	g := fileGrant("F2", core.UserID(user), path)
	g.SecondsLeft = int64(length / time.Second)
	return g, nil
}

func (f fileGrantsOf) Revoke(kind fileaccess.Kind, id string, user core.UserID, _ core.Principal) error {
	for _, g := range f.List(kind, user) {
		if g.ID == id {
			return nil
		}
	}
	return fmt.Errorf("grant %q: %w", id, errNoGrant)
}

func (fileGrantsOf) CleanUp(fileaccess.Kind) view.FileGrantsCleaned {
	return view.FileGrantsCleaned{Ended: 1, Left: 2}
}

func (fileGrantsOf) Access() view.FileAccess {
	return view.FileAccess{
		Files:    []view.FileKept{{FilePath: "/srv/list", Denied: []core.UserID{"1000"}, Granted: []core.UserID{}, Policies: []core.PolicyRef{{ID: "p"}}}},
		Problems: []view.FileProblem{{FilePath: "/home/u/x", Policy: core.PolicyRef{ID: "p"}, Why: "users can exchange it"}},
	}
}
