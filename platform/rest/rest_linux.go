//go:build linux

package rest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack has the system no longer map the pages of this process's own program: its
// instructions and its constants, which lie in the file that it was started from. For each
// page that is used the system maps the fifteen around it as well, and a start uses most
// of what it never uses again. They stay in the system's cache of files, where what is used
// next is found again without a disk, as long as the system needs that memory for nothing
// else. Nothing is lost: a page that is not as it is in the file is left where it is, with
// all of its mapping.
func (*Pace) GiveBack() {
	program, err := program()
	if err != nil {
		return // what is mapped stays
	}
	for _, m := range program {
		if whole, err := m.unchanged(); err == nil && whole {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
		}
	}
}

// mapping is a part of a file as this process sees it.
type mapping struct{ from, to uintptr }

// program returns the mappings of the executable that nothing may be written to.
func program() ([]mapping, error) {
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	lines, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("read what is mapped: %w", err)
	}
	var found []mapping
	for line := range strings.Lines(string(lines)) {
		// from-to rights offset device inode path; only the path may have a slash
		slash := strings.IndexByte(line, '/')
		if slash < 0 || strings.TrimSuffix(line[slash:], "\n") != executable {
			continue
		}
		var m mapping
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &rights); err != nil {
			return nil, fmt.Errorf("read what is mapped: %q: %w", line, err)
		}
		if rights == "r-xp" || rights == "r--p" {
			found = append(found, m)
		}
	}
	return found, nil
}

// What /proc/self/pagemap says of a page, in eight bytes.
const (
	entry   = 8
	present = 1 << 63
	swapped = 1 << 62
	ofFile  = 1 << 61
)

// unchanged says whether every page is as it is in the file. The program changes none, but
// a debugger or a probe of the kernel's has a copy of a page, with its breakpoint, in the
// page's place, and so has a dynamic linker that has filled in addresses.
func (m mapping) unchanged() (bool, error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return false, fmt.Errorf("read what pages are: %w", err)
	}
	defer f.Close()
	size := uintptr(os.Getpagesize())
	entries := make([]byte, (m.to-m.from)/size*entry)
	n, err := f.ReadAt(entries, int64(m.from/size*entry))
	if err == nil && n < len(entries) {
		err = errors.New("it has ended")
	}
	if err != nil {
		return false, fmt.Errorf("read what pages are: %w", err)
	}
	for ; len(entries) > 0; entries = entries[entry:] {
		page := binary.NativeEndian.Uint64(entries)
		if page&swapped != 0 || page&present != 0 && page&ofFile == 0 {
			return false, nil
		}
	}
	return true, nil
}
