//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a caller was denied by itself or by whoever started it, and what the
// service starts for it would not be: a sandbox that can ask for a root process
// is none.

// restraint is what the kernel says of it.
type restraint struct {
	noNewPrivs bool
	seccomp    uint64 // how many filters; 1 for strict mode
	bounding   uint64 // capability sets
	permitted  uint64
	root       place
}

// place is a directory, by the mount that it is on: a bind mount of "/" is not
// "/".
type place struct {
	mount      uint64
	inode      uint64
	major, dev uint32
}

// restraintOf reads what holds for the process with this status. Before Linux 5.9
// the kernel says that there are filters, and not how many.
func restraintOf(p process, status []byte) (r restraint, err error) {
	found := 0
	for line := range bytes.Lines(status) {
		name, rest, _ := bytes.Cut(line, []byte{':'})
		switch string(name) {
		case "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapBnd", "CapPrm":
		default: // most lines
			continue
		}
		value := string(bytes.TrimSpace(rest))
		switch name := string(name); name {
		case "NoNewPrivs":
			r.noNewPrivs = value != "0"
		case "Seccomp", "Seccomp_filters":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return r, fmt.Errorf("process %d: %s %q", p.pid, name, value)
			}
			r.seccomp = max(r.seccomp, min(n, 1))
			if name == "Seccomp_filters" {
				r.seccomp = max(r.seccomp, n)
			}
			continue
		case "CapBnd", "CapPrm":
			set, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return r, fmt.Errorf("process %d: %s %q", p.pid, name, value)
			}
			if name == "CapBnd" {
				r.bounding = set
			} else {
				r.permitted = set
			}
		}
		found++
	}
	if found != 3 {
		return r, fmt.Errorf("process %d: its status says %d of 3 things about its restraints", p.pid, found)
	}
	r.root, err = p.root()
	return r, err
}

// root returns the process's root directory. Its file system is not asked.
func (p process) root() (place, error) {
	var st unix.Statx_t
	err := unix.Statx(p.dir, "root", unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_MNT_ID, &st)
	if err != nil {
		return place{}, vanished(p.pid, err)
	}
	return place{mount: st.Mnt_id, inode: st.Ino, major: st.Dev_major, dev: st.Dev_minor}, nil
}

// beyond says what holds for r and not for ours, empty for nothing, and whether
// it takes something from root as well.
func (r restraint) beyond(ours restraint) (what string, ofRoot bool) {
	switch {
	case r.root != ours.root:
		return "another root directory", true
	case ours.bounding&^r.bounding != 0:
		return "a smaller set of capabilities to gain (bounding set)", true
	case r.seccomp > ours.seccomp:
		return "system call filters (seccomp)", true
	case r.noNewPrivs && !ours.noNewPrivs:
		// Root has its privileges already, unless it has given some up.
		return "no new privileges (no_new_privs)", ours.permitted&^r.permitted != 0
	}
	return "", false
}

// loginOf returns the user whose login the process belongs to (loginuid), "" if
// there was none or the kernel keeps none.
func loginOf(p process) (string, error) {
	var buf [16]byte
	text, err := p.read("loginuid", buf[:])
	if errors.Is(err, errVanished) {
		if _, err := p.id(); err != nil {
			return "", err
		}
		return "", nil // a kernel without audit
	} else if err != nil {
		return "", err
	}
	id, ok := entryID(strings.TrimSpace(string(text)))
	if !ok { // 4294967295: nobody has logged in
		return "", nil
	}
	return id, nil
}
