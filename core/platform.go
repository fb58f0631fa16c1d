package core

import "strings"

// Platform is an operating system as plugin and job files name it.
type Platform string

// The platforms of the published architecture.
const (
	Linux   Platform = "Linux"
	Windows Platform = "Windows"
	MacOS   Platform = "macOS"
)

// Platforms returns all platforms, in the order in which messages name them.
func Platforms() []Platform { return []Platform{Windows, Linux, MacOS} }

// PlatformNames are the names of all platforms, for a message.
func PlatformNames() string {
	var names []string
	for _, p := range Platforms() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// ParsePlatform finds a platform by its name in any letter case.
func ParsePlatform(name string) (Platform, bool) {
	for _, p := range Platforms() {
		if strings.EqualFold(string(p), name) {
			return p, true
		}
	}
	return "", false
}

// PlatformOf returns the platform of a GOOS. Unix systems that have no name in
// the published architecture count as Linux.
func PlatformOf(goos string) Platform {
	switch goos {
	case "windows":
		return Windows
	case "darwin":
		return MacOS
	}
	return Linux
}

// ProgramSuffix is ".exe" where programs have one.
func (p Platform) ProgramSuffix() string {
	if p == Windows {
		return ".exe"
	}
	return ""
}

// SecurePath returns the directories in which bare program names are looked up,
// in order. They are also the PATH of everything that the service starts. No
// user can write to them, and nobody's environment changes them
// (docs/settings.md, "Environment of elevated commands").
func (p Platform) SecurePath() []string {
	if p == Windows {
		return []string{`C:\Windows\System32`, `C:\Windows`}
	}
	return []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

// PathVariable is SecurePath as the value of PATH.
func (p Platform) PathVariable() string {
	separator := ":"
	if p == Windows {
		separator = ";"
	}
	return strings.Join(p.SecurePath(), separator)
}

// DefaultRoot is where the agent is installed when nothing says otherwise
// (decision 2).
func (p Platform) DefaultRoot() string {
	switch p {
	case Windows:
		return `C:\Program Files\KeeperPrivilegeManager`
	case MacOS:
		return "/usr/local/KeeperPrivilegeManager"
	}
	return "/opt/KeeperPrivilegeManager"
}

// IsBareName reports whether a program is named without any directory, so that
// it is looked up on the secure path.
func (p Platform) IsBareName(program string) bool {
	separators := "/"
	if p == Windows {
		separators = `/\:`
	}
	return !strings.ContainsAny(program, separators)
}

// PathKey returns path in the form in which two spellings of it are equal: on
// Windows in lower case with "/" as its separator, elsewhere as it is.
func (p Platform) PathKey(path string) string {
	if p == Windows {
		return strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	}
	return path
}
