//go:build linux

package execution

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// metadataSize is that of struct fanotify_event_metadata, version 3.
const metadataSize = 24

var errVersion = errors.New("the kernel's events have another form than this release reads: update the agent")

// Next implements port.Executions.
func (g *Group) Next() (port.Execution, error) {
	g.reading.Lock()
	defer g.reading.Unlock()
	for {
		if len(g.unread) < metadataSize {
			n, err := g.file.Read(g.buffer)
			if err != nil {
				return port.Execution{}, fmt.Errorf("read fanotify: %w", err)
			}
			g.unread = g.buffer[:n]
			continue
		}
		// __u32 event_len; __u8 vers, reserved; __u16 metadata_len; __aligned_u64 mask;
		// __s32 fd, pid
		event := g.unread
		size := binary.NativeEndian.Uint32(event)
		if event[4] != unix.FANOTIFY_METADATA_VERSION || size < metadataSize || int(size) > len(event) {
			return port.Execution{}, fmt.Errorf("read fanotify: %w", errVersion)
		}
		g.unread = event[size:]
		mask, fd := binary.NativeEndian.Uint64(event[8:]), int32(binary.NativeEndian.Uint32(event[16:]))
		if mask&unix.FAN_OPEN_EXEC_PERM == 0 || fd < 0 {
			continue
		}
		e := port.Execution{Process: int(int32(binary.NativeEndian.Uint32(event[20:]))), Token: int(fd)}
		var at unix.Stat_t
		if err := unix.Fstat(e.Token, &at); err == nil {
			e.File = stateOf(&at)
		}
		return e, nil
	}
}

func stateOf(at *unix.Stat_t) port.FileState {
	return port.FileState{Device: at.Dev, Inode: at.Ino, Changed: at.Ctim.Nano(), Size: at.Size}
}

// Answer implements port.Executions.
func (g *Group) Answer(e port.Execution, allow bool) error {
	defer unix.Close(e.Token)
	response := unix.FanotifyResponse{Fd: int32(e.Token), Response: unix.FAN_DENY}
	if allow {
		response.Response = unix.FAN_ALLOW
	}
	err := g.fd(func(fd int) error {
		_, err := unix.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(&response)), unsafe.Sizeof(response)))
		return err
	})
	if err != nil && !errors.Is(err, unix.ENOENT) { // the process was killed meanwhile
		return fmt.Errorf("answer fanotify: %w", err)
	}
	return nil
}

// Ignore implements port.Executions. A file that is written to is stopped again,
// and one that takes its place was never ignored.
func (g *Group) Ignore(e port.Execution) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	const flags = unix.FAN_MARK_ADD | unix.FAN_MARK_IGNORED_MASK
	if !g.lasting {
		// The kernel may forget the mark with the inode: it costs no memory then.
		err := g.mark(flags|unix.FAN_MARK_EVICTABLE, unix.FAN_OPEN_EXEC_PERM, e.Token, "")
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
		g.lasting = true
	}
	return g.mark(flags, unix.FAN_OPEN_EXEC_PERM, e.Token, "")
}

// Recall implements port.Executions.
func (g *Group) Recall() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.recall()
}

func (g *Group) recall() error { return g.mark(unix.FAN_MARK_FLUSH, 0, unix.AT_FDCWD, "/") }

// Keep implements port.Executions.
func (g *Group) Keep(e port.Execution) (port.Execution, error) {
	fd, err := unix.FcntlInt(uintptr(e.Token), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return e, fmt.Errorf("keep a file: %w", err)
	}
	e.Token = fd
	return e, nil
}

// Drop implements port.Executions.
func (g *Group) Drop(kept port.Execution) { unix.Close(kept.Token) }

// Executor implements port.Executions. The process waits in its execve, so that the
// number is its own; if somebody has killed it, nobody hears the answer.
func (g *Group) Executor(e port.Execution, group bool) (port.Executor, error) {
	proc := "/proc/" + strconv.Itoa(e.Process)
	status, err := readProc(proc + "/status")
	if err != nil {
		return port.Executor{}, err
	}
	who, err := executor(status)
	if err != nil || !group {
		return who, err
	}
	table, err := readProc(proc + "/cgroup")
	if err != nil {
		return port.Executor{}, err
	}
	who.Group = g.groupOf(table)
	return who, nil
}

// readProc is os.ReadFile for the beginning of a file that the kernel makes up, of which
// nobody is asked to wait: programs wait for this.
func readProc(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var buffer [4096]byte
	n, err := unix.Read(fd, buffer[:])
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(buffer[:n]), nil
}

// executor reads the users in the text of /proc/PID/status (proc_pid_status(5)). They
// are this process's numbers, whatever a user namespace calls them.
func executor(status string) (port.Executor, error) {
	_, line, found := strings.Cut(status, "\nUid:")
	line, _, _ = strings.Cut(line, "\n")
	ids := strings.Fields(line) // real, effective, saved, file system
	if !found || len(ids) != 4 {
		return port.Executor{}, fmt.Errorf("status has no line Uid: with four numbers: %w", core.ErrNoAccount)
	}
	return port.Executor{User: core.UserID(ids[0]), Administrator: ids[0] == "0" && ids[1] == "0"}, nil
}

// groupOf reads the cgroup of version 2 in the text of /proc/PID/cgroup, and names it
// as launch groups are named.
func (g *Group) groupOf(table string) string {
	for line := range strings.Lines(table) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok || g.cgroups.point == "" {
			continue
		}
		// A process outside of what can be seen from here is shown as "/../elsewhere".
		rel, err := filepath.Rel(g.cgroups.root, path)
		if err != nil || !filepath.IsLocal(rel) || strings.HasPrefix(path, "/..") {
			return ""
		}
		return "cgroup:" + filepath.Join(g.cgroups.point, rel)
	}
	return ""
}

// cgroups is where the hierarchy of version 2 is mounted, and which part of it.
type cgroups struct{ point, root string }

func cgroupsIn(table string) cgroups {
	for line := range strings.Lines(table) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) > 4 && len(kind) > 0 && kind[0] == "cgroup2" {
			return cgroups{point: unescape.Replace(fields[4]), root: unescape.Replace(fields[3])}
		}
	}
	return cgroups{}
}
