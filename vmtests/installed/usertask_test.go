//go:build linux

package installed

import (
	"context"
	"os"
	"strings"
	"testing"
)

// told has a task of kind User write down as whom, and in which session, it runs.
const told = `{
  "id": "told", "name": "Told", "enabled": true, "priority": 5,
  "events": [{ "eventType": "Custom", "customEvent": "LaunchPrivilegeElevation" }],
  "tasks": [{ "id": "tell", "name": "Tell", "ExecutionType": "User", "command": "told", "executablePath": "/usr/local/bin/told", "timeoutSeconds": 60 }]
}`

// TestUserTask: a User task runs as whoever asked, in the session that the request
// came from; for a request from no session it says so and runs nowhere.
func TestUserTask(t *testing.T) {
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(box.Root+path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	loggedOut(t)
	write("/usr/local/bin/told", "#!/bin/sh\necho \"$(id -u) $HOME $XDG_SESSION_ID $XDG_RUNTIME_DIR $(ulimit -Hn) $KPM_OF_PAM\" >\"$HOME/told\"\n", 0o755)
	write(root+"/Jobs/told.json", told, 0o644)
	systemctl(t, "restart")
	t.Cleanup(func() { _ = os.Remove(box.Root + root + "/Jobs/told.json") })

	session := func(user string) string {
		t.Helper()
		var id string
		eventually(t, user+" is logged in", func() bool {
			out, err := box.Run(t.Context(), "loginctl", "show-user", "--property=Display", "--value", user)
			id = strings.TrimSpace(out)
			return err == nil && id != "" // what is printed may be an error
		})
		return id
	}
	// Both are logged in and ask; alice first. Each task runs in the session asked from.
	for _, user := range []string{"alice", "bob"} {
		run(t, "systemd-run", "--quiet", "--collect", "--unit=in-"+user, "-p", "User="+user, "-p", "PAMName=login",
			"-E", "XDG_SESSION_TYPE=tty", "-E", "XDG_SESSION_CLASS=user", "-E", "PATH=/usr/local/bin:/usr/bin:/bin",
			"sh", "-c", "while [ ! -e ~/go ]; do sleep 0.05; done; keepersudo whoami; keepersudo true; exec sleep 600")
		t.Cleanup(func() { _, _ = box.Run(context.Background(), "systemctl", "stop", "in-"+user+".service") })
	}
	// Of the task's PAM session: a service's own limits are others.
	limits := map[string]string{"alice": "777", "bob": "888"}
	ids := map[string]string{"alice": session("alice"), "bob": session("bob")}
	for user, uid := range map[string]string{"alice": "1000", "bob": "1001"} {
		write("/home/"+user+"/go", "", 0o644)
		want := uid + " /home/" + user + " " + ids[user] + " /run/user/" + uid + " " + limits[user] + " set\n"
		eventually(t, "the task ran as "+user, func() bool {
			got, err := os.ReadFile(box.Root + "/home/" + user + "/told")
			if err == nil && len(got) > 0 && string(got) != want {
				t.Fatalf("%s: %q, expected %q", user, got, want)
			}
			return err == nil && len(got) > 0
		})
	}

	for _, user := range []string{"alice", "bob"} {
		eventually(t, "the PAM session of "+user+"'s task was opened and is closed", func() bool {
			log, _ := box.Run(t.Context(), "journalctl", "--no-pager", "-t", "keeperpam")
			return strings.Contains(log, "session opened for user "+user) && strings.Contains(log, "session closed for user "+user)
		})
	}

	// No session: setpriv has none.
	if err := os.Remove(box.Root + "/home/alice/told"); err != nil {
		t.Fatal(err)
	}
	says(t, "alice", "keepersudo", "true")
	var log string
	eventually(t, "it is said that there is no session", func() bool {
		log, _ = box.Run(t.Context(), root+"/KeeperAdminCLI", "jobs", "runs", "--json")
		return strings.Contains(log, "from no session")
	})
	if _, err := os.Stat(box.Root + "/home/alice/told"); err == nil {
		t.Error("the task ran without a session")
	}
}
