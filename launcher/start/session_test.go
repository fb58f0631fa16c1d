package start

import (
	"testing"

	"kpm/core"
	"kpm/core/port"
)

// With Settings:AllowedNonAdminExecutables, nothing else acts as a plugin or task
// in the session of somebody who is no administrator.
func TestWhichProgramsActInASession(t *testing.T) {
	for _, c := range []struct {
		allowed []string
		path    string
		user    core.UserID
		want    bool
	}{
		{nil, "/opt/Tray", "1000", true},
		{[]string{"Tray"}, "/opt/tray", "1000", true},
		{[]string{"Tray.exe"}, `/opt/Tray.exe`, "1000", true},
		{[]string{"Tray"}, "/opt/Other", "1000", false},
		{[]string{"Tray"}, "/opt/Tray/Other", "1000", false},
		{[]string{"Tray"}, "/opt/Other", "0", true},
	} {
		s := New(Config{Facts: port.Facts{Administrator: "0"}, SessionPrograms: c.allowed})
		if got := s.actsInSession(c.path, c.user); got != c.want {
			t.Errorf("%v: %s of %s: %v", c.allowed, c.path, c.user, got)
		}
	}
}
