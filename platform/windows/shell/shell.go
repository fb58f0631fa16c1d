//go:build windows

// Package shell is what KeeperRunAs needs of Windows' own shell, which starts it:
// how a link's text becomes arguments and paths, and a window for somebody who has
// no console. It decides nothing.
package shell

import (
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Split takes a link's arguments apart as programs do (learn.microsoft.com,
// "CommandLineToArgvW"). That function takes the first word for the program, by rules
// of its own.
func Split(arguments string) ([]string, error) {
	argv, err := windows.DecomposeCommandLine("x " + arguments)
	if err != nil {
		return nil, err
	}
	return argv[1:], nil
}

// Expand replaces %NAME% by this process's environment (learn.microsoft.com,
// "ExpandEnvironmentStringsW").
func Expand(text string) (string, error) { return registry.ExpandString(text) }

// HasOutput reports whether anybody reads what this process writes to standard error.
func HasOutput() bool {
	handle, err := windows.GetStdHandle(windows.STD_ERROR_HANDLE)
	return err == nil && handle != 0 && handle != windows.InvalidHandle
}

// Show shows text in a window until it is closed (learn.microsoft.com,
// "MessageBoxW"). Where there is no desktop, there is nobody to show it to.
func Show(title, text string) error {
	body, err := windows.UTF16PtrFromString(strings.ReplaceAll(text, "\x00", ""))
	if err != nil {
		return err
	}
	head, err := windows.UTF16PtrFromString(title)
	if err != nil {
		return err
	}
	_, err = windows.MessageBox(0, body, head, windows.MB_OK|windows.MB_ICONWARNING|windows.MB_SETFOREGROUND)
	return err
}
