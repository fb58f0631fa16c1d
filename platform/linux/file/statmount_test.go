//go:build linux

package file

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What statmount says of a mount is what the table says.
func TestStatmountAgreesWithTheTable(t *testing.T) {
	strange := filepath.Join(t.TempDir(), "a b\n")
	if err := errors.Join(os.Mkdir(strange, 0o755), unix.Mount("tmpfs", strange, "tmpfs", unix.MS_NOSUID, "")); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(strange, unix.MNT_DETACH)
	asked := 0
	for _, path := range []string{"/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/run", strange} {
		fd, err := OpenAt(unix.AT_FDCWD, path, unix.O_PATH, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		at, err := Stat(fd)
		if err != nil {
			t.Fatal(err)
		}
		found, err := FindMount(fd, at)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		id, err := tableID(fd)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := readTable(id)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		listed.Kind, _, _ = strings.Cut(listed.Kind, ".") // a FUSE daemon's own name
		if found != listed {
			t.Errorf("%s: statmount says %+v, the table %+v", path, found, listed)
		}
		if at.uniqueMount {
			if direct, err := statMount(at.mountID); err == nil && direct == found {
				asked++
			}
		}
		unix.Close(fd)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	t.Logf("kernel %s answered %d times", unix.ByteSliceToString(name.Release[:]), asked)
}

func TestAMountThatIsNotHere(t *testing.T) {
	if _, err := FindMount(-1, Node{mountID: 1<<63 - 1, uniqueMount: true}); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EBADF) {
		t.Errorf("a unique id of nothing: %v", err)
	}
	if _, err := FindMount(-1, Node{mountID: 1<<63 - 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an id of nothing: %v", err)
	}
}

func TestAnswersOfStatmountThatCannotBeUsed(t *testing.T) {
	answer := func(mask uint64, at uint32, text string) []byte {
		b := make([]byte, answerSize)
		binary.NativeEndian.PutUint64(b[maskAt:], mask)
		binary.NativeEndian.PutUint32(b[typeAt:], at)
		copy(b[stringsAt:], text)
		return b
	}
	if m, err := readMount(answer(basicMount|fileSystem, 0, "ext4")); err != nil || m.Kind != "ext4" || m.nosuid {
		t.Errorf("%+v, %v", m, err)
	}
	for name, b := range map[string][]byte{
		"no attributes":         answer(fileSystem, 0, "ext4"),
		"no type":               answer(basicMount, 0, "ext4"),
		"a type without a name": answer(basicMount|fileSystem, 0, ""),
		"a type beyond the end": answer(basicMount|fileSystem, answerSize, "ext4"),
		"a type without end":    answer(basicMount|fileSystem, 0, strings.Repeat("x", answerSize-stringsAt)),
	} {
		if m, err := readMount(b); !errors.Is(err, errNoStatmount) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
