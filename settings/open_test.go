package settings

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type lockFile struct{ taken *bool }

func (l lockFile) Close() error { *l.taken = false; return nil }

// guards are a platform that trusts every directory below base and knows locks
// within this process.
func guards(base string, taken *bool) Guards {
	return Guards{
		Protected: func(dir string) error {
			if !strings.HasPrefix(dir, base) {
				return errors.New("everyone can write to it; run chmod o-w on it")
			}
			return nil
		},
		Lock: func(path string) (io.Closer, error) {
			if *taken {
				return nil, errors.New("held by pid 77")
			}
			*taken = true
			return lockFile{taken}, os.WriteFile(path, nil, 0o600)
		},
	}
}

func TestOpenPreparesTheRoot(t *testing.T) {
	l := At(t.TempDir(), "")
	taken := false
	if err := os.Mkdir(l.Run(), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Ports(), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The sockets of a service that is dead; somebody may still hold them.
	for _, path := range []string{l.Door(), l.MQTTSocket()} {
		dead, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer dead.Close()
	}
	if err := os.WriteFile(l.APISocket(), nil, 0o600); err != nil { // no socket: for whoever listens to refuse
		t.Fatal(err)
	}
	lock, err := Open(l, guards(l.Root(), &taken))
	if err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{l.Door(): false, l.MQTTSocket(): false, l.APISocket(): true} {
		if _, err := os.Lstat(path); (err == nil) != there {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
	for path, want := range map[string]fs.FileMode{l.Run(): 0o755, l.State(): 0o700, l.Audit(): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() || info.Mode().Perm() != want {
			t.Errorf("%s is %v, want a directory of mode %v", path, info.Mode(), want)
		}
	}
	if _, err := os.Lstat(l.Ports()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there", l.Ports())
	}
	if !taken {
		t.Error("the lock is not held")
	}
	if err := lock.Close(); err != nil || taken {
		t.Errorf("closing left the lock held: %v, %v", err, taken)
	}
}

func TestOpenLeavesTheRunningServiceAlone(t *testing.T) {
	l := At(t.TempDir(), "")
	taken := false
	if _, err := Open(l, guards(l.Root(), &taken)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Ports(), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(l, guards(l.Root(), &taken))
	if err == nil || !strings.Contains(err.Error(), "held by pid 77") || !strings.Contains(err.Error(), "--root") {
		t.Errorf("got %v, want the holder and the remedy", err)
	}
	if _, err := os.Stat(l.Ports()); err != nil {
		t.Errorf("the second service removed the first one's ports: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(dir, "planted")
	if err := os.Mkdir(planted, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(planted, "State")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, root, base, want string }{
		{"a relative root", "agent", "", "absolute"},
		{"a missing root", filepath.Join(dir, "absent"), "", "install the agent there"},
		{"a file", file, "", "not a directory"},
		{"a link", link, "", "name the directory itself"},
		// Attack: the root lies where a user can rename or replace it.
		{"a root that users can write", dir, "/nowhere", "it and every directory above it must be writable by administrators alone: everyone can write to it; run chmod o-w on it"},
		// Attack: State leads the service's secrets to another place.
		{"a planted State", planted, "", "State is not a directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			taken := false
			_, err := Open(At(tc.root, ""), guards(tc.base, &taken))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ... %s", err, tc.want)
			}
			if taken {
				t.Error("the lock was kept")
			}
		})
	}
}

func TestOpenGivesTheLockBackWhenItCannotGoOn(t *testing.T) {
	l := At(t.TempDir(), "")
	if err := os.WriteFile(l.Audit(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := false
	if _, err := Open(l, guards(l.Root(), &taken)); err == nil || taken {
		t.Errorf("got %v, lock held %v", err, taken)
	}
}

func TestPortsRoundTrip(t *testing.T) {
	l := At(t.TempDir(), "")
	if err := os.Mkdir(l.Run(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := readPorts(l); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the service is ready: got %v, want fs.ErrNotExist", err)
	}
	want := Ports{HTTP: 6888, MQTT: 8675, Door: l.Door(), MQTTLocal: l.MQTTSocket(), PID: 7, StartTime: time.Unix(1000, 0).UTC()}
	if err := WritePorts(l, want, os.WriteFile); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(l.Ports())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"http":6888`, `"https":0`, `"mqtt":8675`, `"door":"`, `"mqttLocal":"`, `"pid":7`, `"startTime":"1970-01-01T00:16:40Z"`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("%s lacks %s", data, part)
		}
	}
	if got, err := readPorts(l); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for range 2 { // removing what is gone is no fault
		if err := RemovePorts(l); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLayout(t *testing.T) {
	l := At("/opt/KeeperPrivilegeManager/", "Ext/Plugins")
	for _, tc := range []struct{ got, want string }{
		{DefaultRoot(), "/opt/KeeperPrivilegeManager"},
		{l.Root(), "/opt/KeeperPrivilegeManager"},
		{l.AppSettings(), "/opt/KeeperPrivilegeManager/appsettings.json"},
		{l.Helper(), "/opt/KeeperPrivilegeManager/keeperlaunch"},
		{l.Reader(), "/opt/KeeperPrivilegeManager/keeperreader"},
		{l.Plugins(), "/opt/KeeperPrivilegeManager/Ext/Plugins"},
		{l.JobBin("mytool", ".exe"), "/opt/KeeperPrivilegeManager/Jobs/bin/mytool/mytool.exe"},
		{l.SyncedPolicies(), "/opt/KeeperPrivilegeManager/Policies/synced"},
		{l.Exec(), "/opt/KeeperPrivilegeManager/run/exec"},
		{l.JournalHead(), "/opt/KeeperPrivilegeManager/State/journal.head"},
		{l.Lock(), "/opt/KeeperPrivilegeManager/State/service.lock"},
	} {
		if filepath.ToSlash(tc.got) != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
	for token, want := range map[string]string{"approot": l.Root(), "PluginRoot": l.Plugins(), "jobroot": l.Jobs()} {
		if got, ok := l.Variable(token); !ok || got != want {
			t.Errorf("{%s} is %s, want %s", token, got, want)
		}
	}
	if _, ok := l.Variable("home"); ok {
		t.Error("{home} is a variable")
	}
}

// readPorts reads run/ports.json as any program on the machine may.
func readPorts(l Layout) (p Ports, err error) {
	data, err := os.ReadFile(l.Ports())
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(data, &p)
}
