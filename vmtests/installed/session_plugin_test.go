//go:build linux

package installed

import (
	"context"
	"os"
	"strings"
	"testing"
)

// sitter is a plugin in people's sessions that writes down where it is.
const (
	sitter = `{
  "id": "Sitter", "pluginType": "Executable", "executablePath": "bin/Sitter/Sitter", "supportedPlatforms": ["Linux"],
  "Subscription": { "Topic": "Sitter", "Qos": 0 }, "executionContext": "User", "autoStart": true, "autoRestart": true,
  "metadata": { "mqttTopics": { "publish": [], "subscribe": [] } }
}`
	sitterProgram = "#!/bin/sh\necho \"$(id -u) $HOME $XDG_SESSION_ID $XDG_RUNTIME_DIR\" >\"$HOME/sat\"\nexec sleep 4242\n"
)

// TestPluginInSessions: a plugin whose executionContext is User has one instance in
// each session, as its user, which ends with the session.
func TestPluginInSessions(t *testing.T) {
	loggedOut(t)
	for path, text := range map[string]string{"/Plugins/Sitter.json": sitter, "/Plugins/bin/Sitter/Sitter": sitterProgram} {
		if err := os.MkdirAll(box.Root+root+path[:strings.LastIndex(path, "/")], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(box.Root+root+path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		_ = os.Remove(box.Root + root + "/Plugins/Sitter.json")
		systemctl(t, "restart")
	}()
	systemctl(t, "restart")
	instances := func() (users string) {
		out, _ := box.Run(t.Context(), "pgrep", "--exact", "--full", "--list-full", "sleep 4242")
		for line := range strings.Lines(out) {
			pid, _, _ := strings.Cut(line, " ")
			user, _ := box.Run(t.Context(), "stat", "-c", "%u", "/proc/"+pid)
			users += strings.TrimSpace(user) + " "
		}
		return users
	}
	if got := instances(); got != "" {
		t.Errorf("before anybody is logged in it runs as %s", got)
	}
	slowLogin(t, "1001")
	for _, user := range []string{"alice", "bob"} {
		logInAsService(t, user, "sleep", "600")
	}
	for user, uid := range map[string]string{"alice": "1000", "bob": "1001"} {
		want, got := uid+" /home/"+user+" "+sessionOf(t, user)+" /run/user/"+uid+"\n", ""
		t.Cleanup(func() {
			if got != want {
				sessions, _ := box.Run(context.Background(), "loginctl", "list-sessions", "--no-legend")
				t.Logf("the plugin of %s wrote %q, expected %q; sessions:\n%s", user, got, want, sessions)
			}
		})
		eventually(t, "the plugin runs as "+user, func() bool {
			text, _ := os.ReadFile(box.Root + "/home/" + user + "/sat") // of which there is none yet
			got = string(text)
			return got == want
		})
	}
	run(t, "systemctl", "stop", "in-alice.service")
	eventually(t, "alice's instance has ended, and bob's has not", func() bool { return instances() == "1001 " })
}

// slowLogin has a user's login take longer than it takes the service to look who is logged
// in: their runtime directory is made late, and logind knows the session meanwhile.
func slowLogin(t *testing.T, uid string) {
	t.Helper()
	dir := "/run/systemd/system/user-runtime-dir@" + uid + ".service.d"
	run(t, "mkdir", "-p", dir)
	run(t, "sh", "-c", "printf '[Service]\\nExecStartPre=/usr/bin/sleep 7\\n' >"+dir+"/slow.conf")
	run(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		_, _ = box.Run(context.Background(), "rm", "-r", dir)
		_, _ = box.Run(context.Background(), "systemctl", "daemon-reload")
	})
}

// loggedOut waits until nobody is logged in any more: that takes its time after the last
// program of a session has ended.
func loggedOut(t *testing.T) {
	t.Helper()
	eventually(t, "nobody is logged in", func() bool {
		out, err := box.Run(t.Context(), "loginctl", "list-users", "--no-legend")
		return err == nil && !strings.Contains(out, "alice") && !strings.Contains(out, "bob")
	})
}

// logInAsService has a command of a user's run in a session of its own, by PAM.
func logInAsService(t *testing.T, user string, argv ...string) {
	t.Helper()
	run(t, append([]string{"systemd-run", "--quiet", "--collect", "--unit=in-" + user, "-p", "User=" + user, "-p", "PAMName=login",
		"-E", "XDG_SESSION_TYPE=tty", "-E", "XDG_SESSION_CLASS=user", "-E", "PATH=/usr/local/bin:/usr/bin:/bin"}, argv...)...)
	t.Cleanup(func() { _, _ = box.Run(context.Background(), "systemctl", "stop", "in-"+user+".service") })
}

// sessionOf waits until a user is logged in, and returns what logind calls it.
func sessionOf(t *testing.T, user string) (id string) {
	t.Helper()
	eventually(t, user+" is logged in", func() bool {
		out, _ := box.Run(t.Context(), "loginctl", "show-user", "--property=Display", "--value", user)
		id = strings.TrimSpace(out)
		return id != ""
	})
	return id
}
