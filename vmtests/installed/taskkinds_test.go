//go:build linux

package installed

import (
	"context"
	"os"
	"strings"
	"testing"
)

// tellsOf is a job with one task of a kind, which says by which it was started.
const tellsOf = `{
  "id": "told-KIND", "name": "Told", "enabled": true, "priority": 5,
  "events": [{ "eventType": "Custom", "customEvent": "LaunchPrivilegeElevation" }],
  "tasks": [{ "id": "tell", "name": "Tell", "ExecutionType": "KIND", "command": "told", "executablePath": "/usr/local/bin/told-of", "arguments": "KIND", "timeoutSeconds": 60 }]
}`

// tellsProgram writes down as whom it runs, in which session, and what of it it has.
const tellsProgram = `#!/bin/sh
at="/var/tmp/told-$1-$XDG_SESSION_ID"
echo "$(id -u) $HOME ${XDG_RUNTIME_DIR:-none} ${DISPLAY:-none}" >"$at.new" && mv "$at.new" "$at"
`

// TestTasksOfEachKind: a task of each kind runs in the session that the request came
// from: as the person, on their desktop, or as the administrator, who has nothing of the
// person's but the screen. Where the session has no screen, the task of that kind says so.
func TestTasksOfEachKind(t *testing.T) {
	loggedOut(t)
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(box.Root+path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("/usr/local/bin/told-of", tellsProgram, 0o755)
	kinds := []string{"User", "UserDesktop", "UserElevated"}
	for _, kind := range kinds {
		path := root + "/Jobs/told-" + kind + ".json"
		write(path, strings.ReplaceAll(tellsOf, "KIND", kind), 0o644)
		t.Cleanup(func() { _ = os.Remove(box.Root + path) })
	}
	systemctl(t, "restart")
	run(t, "rm", "-rf", "/tmp/.X11-unix") // another test's screens
	run(t, "install", "-d", "-m", "1777", "/tmp/.X11-unix")
	run(t, "runuser", "-u", "alice", "--", "python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/.X11-unix/X9')")

	sessions := map[string]string{}
	for user, kind := range map[string][]string{"alice": {"x11", "-E", "DISPLAY=:9"}, "bob": {"tty"}} {
		run(t, append(append([]string{"systemd-run", "--quiet", "--collect", "--unit=kind-" + user, "-p", "User=" + user, "-p", "PAMName=login",
			"-E", "XDG_SESSION_CLASS=user", "-E", "PATH=/usr/local/bin:/usr/bin:/bin", "-E", "XDG_SESSION_TYPE=" + kind[0]}, kind[1:]...),
			"sh", "-c", "while [ ! -e ~/asks ]; do sleep 0.05; done; rm ~/asks; keepersudo whoami; keepersudo true; exec sleep 600")...)
		t.Cleanup(func() { _, _ = box.Run(context.Background(), "systemctl", "stop", "kind-"+user+".service") })
		eventually(t, user+" is logged in", func() bool {
			out, err := box.Run(t.Context(), "loginctl", "show-user", "--property=Display", "--value", user)
			sessions[user] = strings.TrimSpace(out)
			return err == nil && sessions[user] != ""
		})
	}
	// What a task of a kind writes in somebody's session; none where it does not run.
	for user, wants := range map[string]map[string]string{
		"alice": {"User": "1000 /home/alice /run/user/1000 none", "UserDesktop": "1000 /home/alice /run/user/1000 :9", "UserElevated": "0 /root none :9"},
		"bob":   {"User": "1001 /home/bob /run/user/1001 none", "UserElevated": "0 /root none none"},
	} {
		write("/home/"+user+"/asks", "", 0o644)
		for kind, want := range wants {
			eventually(t, kind+" of "+user, func() bool {
				got, err := os.ReadFile(box.Root + "/var/tmp/told-" + kind + "-" + sessions[user])
				if err == nil && strings.TrimSpace(string(got)) != want {
					t.Fatalf("%s of %s: %q, expected %q", kind, user, got, want)
				}
				return err == nil
			})
		}
	}
	eventually(t, "it is said that bob has no desktop", func() bool {
		log, _ := box.Run(t.Context(), root+"/KeeperAdminCLI", "jobs", "runs", "--json")
		return strings.Contains(log, "told-UserDesktop") && strings.Contains(log, "log in graphically")
	})
	if _, err := os.Stat(box.Root + "/var/tmp/told-UserDesktop-" + sessions["bob"]); err == nil {
		t.Error("a task for a desktop ran in a session without one")
	}
}
