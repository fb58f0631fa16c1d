package core

import "strings"

// Places are the path variables that mean the same for every user of a machine, with "/"
// between names on Windows, too. They come from no environment: users have theirs. On Unix
// {rootdir} is nothing, which what follows it begins with.
func (p Platform) Places() map[string]string {
	switch p {
	case Windows:
		return map[string]string{
			"rootdir": "c:", "systemdrive": "c:", "systemroot": "c:/windows", "windows": "c:/windows",
			"system32": "c:/windows/system32", "syswow64": "c:/windows/syswow64", "programfiles": "c:/program files",
			"programfilesx86": "c:/program files (x86)", "programdata": "c:/programdata",
		}
	case MacOS:
		return map[string]string{
			"rootdir": "", "bin": "/bin", "etc": "/etc", "tmp": "/tmp", "usr": "/usr", "var": "/var", "home": "/Users",
			"system": "/System", "library": "/Library", "applications": "/Applications", "volumes": "/Volumes",
			"launchdaemons": "/Library/LaunchDaemons", "launchagents": "/Library/LaunchAgents",
		}
	}
	return map[string]string{"rootdir": "", "bin": "/bin", "etc": "/etc", "tmp": "/tmp", "usr": "/usr", "var": "/var", "home": "/home"}
}

// Place is one of Places as programs take it. Names are read as the platform reads
// those of files.
func (p Platform) Place(name string) (path string, ok bool) {
	if p == Windows {
		path, ok = p.Places()[strings.ToLower(name)]
		return strings.ReplaceAll(path, "/", `\`), ok
	}
	path, ok = p.Places()[name]
	return path, ok
}
