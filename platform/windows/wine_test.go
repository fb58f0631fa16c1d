//go:build windows

package windows

import (
	"strings"

	"golang.org/x/sys/windows"
)

// wine reports whether this is Wine, which says so itself.
func wine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// launches is how many the case about many makes. Wine creates a process in a
// tenth of a second and more.
func launches() int {
	if wine() {
		return 40
	}
	return 1000
}

// adds are the variables that Wine itself gives to processes. Windows gives none.
func adds() func(name string) bool {
	if !wine() {
		return nil
	}
	return func(name string) bool {
		return strings.HasPrefix(name, "WINE") || name == "PROCESSOR_ARCHITECTURE" || name == "SystemRoot"
	}
}

// notShown are the cases that Wine 10 cannot show, with the reason. Nothing is
// left out on Windows.
func notShown() map[string]string {
	if !wine() {
		return nil
	}
	return map[string]string{
		"terminate without a listener": "a Ctrl-Break that another process generates does not arrive (Ctrl-C does, on the same way)",
		"a session that is not there":  "WTSQueryUserToken has the one user's token for every number",
	}
}
