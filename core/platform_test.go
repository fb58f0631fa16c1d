package core

import (
	"strings"
	"testing"
)

func TestPlatformNames(t *testing.T) {
	for name, want := range map[string]Platform{"linux": Linux, "WINDOWS": Windows, "macos": MacOS, "macOS": MacOS} {
		if got, ok := ParsePlatform(name); !ok || got != want {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "darwin", "osx", "Linux "} {
		if got, ok := ParsePlatform(name); ok {
			t.Errorf("%q is taken for %s", name, got)
		}
	}
	for goos, want := range map[string]Platform{"linux": Linux, "windows": Windows, "darwin": MacOS, "freebsd": Linux} {
		if got := PlatformOf(goos); got != want {
			t.Errorf("%s is %s", goos, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, tc := range []struct {
		on         Platform
		name, want string
		known      bool
	}{
		{Linux, "bin", "/bin", true}, {Linux, "home", "/home", true}, {Linux, "rootdir", "", true},
		{Linux, "Bin", "", false}, {Linux, "system32", "", false}, {Linux, "userdesktop", "", false},
		{MacOS, "home", "/Users", true}, {MacOS, "launchdaemons", "/Library/LaunchDaemons", true}, {MacOS, "bin", "/bin", true},
		{Windows, "ProgramFiles", `c:\program files`, true}, {Windows, "system32", `c:\windows\system32`, true}, {Windows, "bin", "", false},
	} {
		if got, known := tc.on.Place(tc.name); got != tc.want || known != tc.known {
			t.Errorf("%s: {%s} is %q, %v", tc.on, tc.name, got, known)
		}
	}
}

func TestPathsOfPlatforms(t *testing.T) {
	for _, c := range []struct {
		on   Platform
		name string
		bare bool
	}{
		{Linux, "apt", true}, {Linux, "./apt", false}, {Linux, "/usr/bin/apt", false}, {Linux, `a\b`, true},
		{Windows, "notepad.exe", true}, {Windows, `C:\x.exe`, false}, {Windows, `.\x.exe`, false}, {Windows, "x/y", false},
		{Windows, "c:x.exe", false}, // relative to a drive's current directory
		{MacOS, "dscl", true}, {MacOS, "bin/dscl", false},
	} {
		if got := c.on.IsBareName(c.name); got != c.bare {
			t.Errorf("%s: %q is a bare name: %v", c.on, c.name, got)
		}
	}
	if got := Windows.PathKey(`C:\Users/Ann`); got != "c:/users/ann" {
		t.Errorf("Windows: %s", got)
	}
	if got := Linux.PathKey("/Usr"); got != "/Usr" {
		t.Errorf("Linux: %s", got)
	}
}

// Attack: a relative or empty entry makes the working directory a place where
// bare names are found.
func TestSecurePathsAreAbsolute(t *testing.T) {
	for _, p := range Platforms() {
		for _, dir := range p.SecurePath() {
			if !strings.HasPrefix(dir, "/") && !strings.HasPrefix(dir, `C:\`) {
				t.Errorf("%s: %q", p, dir)
			}
		}
		if strings.Contains(p.PathVariable(), " ") || p.PathVariable() == "" {
			t.Errorf("%s: PATH is %q", p, p.PathVariable())
		}
	}
}
