//go:build !darwin && !windows

package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"
)

// toJournal reports whether journald reads f: it says in JOURNAL_STREAM which file
// it reads (systemd.exec(5)), and a program that was started by hand below a unit
// has the variable too.
func toJournal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, is := info.Sys().(*syscall.Stat_t)
	return is && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// systemCommands are the commands that one system has.
func systemCommands(*string) []*cobra.Command { return nil }
