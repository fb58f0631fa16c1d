//go:build linux

package linux

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/trust/ima"
)

// both are a file as the service holds it: open for reading, and a handle that
// cannot be read from.
func both(t testing.TB, path string) map[string]*os.File {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return map[string]*os.File{"readable": f, "handle": handle(t, path)}
}

// attributeName is one that no kernel looks into.
const attributeName = "security.kpm"

func TestAttribute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("x"), 0o644))
	for _, value := range []string{"", "short", strings.Repeat("long", 700)} {
		must(t, unix.Setxattr(path, attributeName, []byte(value), 0))
		for how, f := range both(t, path) {
			if got, err := (Signatures{}).Attribute(f, attributeName); err != nil || string(got) != value {
				t.Errorf("%s: %q, %v; expected %q", how, got, err, value)
			}
			if got, err := (Signatures{}).Attribute(f, attributeName+"2"); !errors.Is(err, port.ErrNoAttribute) {
				t.Errorf("%s: an attribute that is not there: %q, %v", how, got, err)
			}
		}
	}
}

// Attack (check-then-exec, CVE-2021-3969): the path is given to another file
// between the opening and the question.
func TestAttributeIsThatOfTheHandle(t *testing.T) {
	dir := t.TempDir()
	signed, other := filepath.Join(dir, "signed"), filepath.Join(dir, "other")
	must(t, os.WriteFile(signed, nil, 0o644))
	must(t, os.WriteFile(other, nil, 0o644))
	must(t, unix.Setxattr(signed, attributeName, []byte("signature"), 0))
	files := both(t, other)
	must(t, os.Rename(signed, other))
	for how, f := range files {
		if got, err := (Signatures{}).Attribute(f, attributeName); !errors.Is(err, port.ErrNoAttribute) {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
}

// What a file system has none of, a file on it does not carry.
func TestFilesWithoutAttributes(t *testing.T) {
	for _, path := range []string{"/proc/self/status", "/dev/null", "/"} {
		for how, f := range both(t, path) {
			if got, err := (Signatures{}).Attribute(f, "security.ima"); !errors.Is(err, port.ErrNoAttribute) {
				t.Errorf("%s, %s: attribute %q, %v", path, how, got, err)
			}
			if got, err := (Signatures{}).Verity(f); !errors.Is(err, port.ErrNoAttribute) {
				t.Errorf("%s, %s: fs-verity %v, %v", path, how, got, err)
			}
			if got, err := (Signatures{}).Generation(f); path != "/" && (got != 0 || err != nil) {
				t.Errorf("%s, %s: generation %v, %v", path, how, got, err)
			}
			if got, err := (Signatures{}).Verdict(context.Background(), f); !errors.Is(err, port.ErrNoAttribute) {
				t.Errorf("%s, %s: verdict %v, %v", path, how, got, err)
			}
		}
	}
}

func TestQuestionsAboutAClosedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o644))
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Close())
	var s Signatures
	_, attribute := s.Attribute(f, "security.ima")
	_, verity := s.Verity(f)
	_, generation := s.Generation(f)
	_, inode := s.Node(f)
	for i, err := range []error{attribute, verity, generation, inode} {
		if err == nil || errors.Is(err, port.ErrNoAttribute) || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("question %d: %v", i, err)
		}
	}
}

func TestNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Chown(path, 4242, 77))
	must(t, os.Chmod(path, 0o751|fs.ModeSetuid))
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	for how, f := range both(t, path) {
		n, err := (Signatures{}).Node(f)
		if err != nil || n.Inode != st.Ino || n.UID != 4242 || n.GID != 77 || n.Mode != 0o104751 {
			t.Errorf("%s: %+v, %v", how, n, err)
		}
		if generation, err := (Signatures{}).Generation(f); err != nil || generation != uint64(n.Generation) {
			t.Errorf("%s: generation %d, %v; the inode says %d", how, generation, err, n.Generation)
		}
	}
}

// lsattr asks the same question.
func TestGenerationIsWhatLsattrSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o644))
	out, err := exec.Command("lsattr", "-v", path).Output()
	must(t, err)
	want, err := strconv.ParseUint(strings.Fields(string(out))[0], 10, 64)
	must(t, err)
	for how, f := range both(t, path) {
		if got, err := (Signatures{}).Generation(f); err != nil || got != want || got == 0 {
			t.Errorf("%s: %d, %v; lsattr: %d", how, got, err, want)
		}
	}
}

// A daemon of the caller's own answers for its files, or does not answer.
func TestSignaturesDoNotWaitForAFuseDaemon(t *testing.T) {
	var files map[string]*os.File
	resume := hang(t, func(at string) { files = both(t, at+"/program") })
	defer resume() // closing waits for the daemon
	done := make(chan []string)
	go func() {
		var wrong []string
		for how, f := range files {
			var s Signatures
			_, attribute := s.Attribute(f, "security.ima")
			_, verity := s.Verity(f)
			generation, err := s.Generation(f)
			_, inode := s.Node(f)
			if !errors.Is(attribute, port.ErrNoAttribute) || !errors.Is(verity, port.ErrNoAttribute) || generation != 0 || err != nil || !errors.Is(inode, errors.ErrUnsupported) {
				wrong = append(wrong, fmt.Sprintf("%s: %v, %v, %d %v, %v", how, attribute, verity, generation, err, inode))
			}
		}
		done <- wrong
	}()
	select {
	case wrong := <-done:
		for _, w := range wrong {
			t.Error(w)
		}
	case <-time.After(20 * time.Second):
		t.Error("something waits for a daemon that does not answer")
		resume()
		<-done
	}
}

// enableVerity lets the kernel hold the file to what it is now. It reports
// false where kernel or file system do not know fs-verity; with
// KPM_FS_VERITY=required in the environment that is a failure.
func enableVerity(t *testing.T, path string, algorithm uint32, salt []byte) bool {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: algorithm, Block_size: uint32(os.Getpagesize()), Salt_size: uint32(len(salt))}
	var pins runtime.Pinner
	defer pins.Unpin()
	if len(salt) > 0 {
		pins.Pin(&salt[0])
		arg.Salt_ptr = uint64(uintptr(unsafe.Pointer(&salt[0])))
	}
	_, err = ioctl(int(f.Fd()), unix.FS_IOC_ENABLE_VERITY, unsafe.Pointer(&arg))
	if errors.Is(missing(err), port.ErrNoAttribute) && os.Getenv("KPM_FS_VERITY") != "required" {
		return false
	}
	must(t, err)
	return true
}

// The kernel's fs-verity digest, the parameters that it tells and the digest
// that is computed from the bytes agree. Where there is no fs-verity, the file
// carries none.
func TestVerity(t *testing.T) {
	for _, c := range []struct {
		algorithm uint32
		hash      crypto.Hash
		salt      []byte
		size      int
	}{
		{unix.FS_VERITY_HASH_ALG_SHA256, crypto.SHA256, nil, 3*4096 + 1},
		{unix.FS_VERITY_HASH_ALG_SHA512, crypto.SHA512, []byte("some salt"), 70 * 4096},
		{unix.FS_VERITY_HASH_ALG_SHA256, crypto.SHA256, bytes.Repeat([]byte{7}, 32), 0},
	} {
		path := filepath.Join(t.TempDir(), "file")
		content := bytes.Repeat([]byte{1, 2, 3}, c.size)[:c.size]
		must(t, os.WriteFile(path, content, 0o644))
		enabled := enableVerity(t, path, c.algorithm, c.salt)
		for how, f := range both(t, path) {
			v, err := (Signatures{}).Verity(f)
			if !enabled {
				if !errors.Is(err, port.ErrNoAttribute) {
					t.Errorf("%s, without fs-verity: %+v, %v", how, v, err)
				}
				continue
			}
			if err != nil || v.Hash != c.hash || v.BlockSize != os.Getpagesize() || !bytes.Equal(v.Salt, c.salt) || v.Signature != nil {
				t.Errorf("%s: %+v, %v", how, v, err)
			}
			want, err := ima.Measure(t.Context(), bytes.NewReader(content), int64(c.size), ima.Parameters{Hash: v.Hash, BlockSize: v.BlockSize, Salt: v.Salt})
			if err != nil || !bytes.Equal(v.Digest, want) {
				t.Errorf("%s: the kernel's digest %x, from the bytes %x, %v", how, v.Digest, want, err)
			}
		}
	}
}

func BenchmarkGeneration(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	must(b, os.WriteFile(path, nil, 0o644))
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	for b.Loop() {
		if _, err := (Signatures{}).Generation(f); err != nil {
			b.Fatal(err)
		}
	}
}

// uuidText is how evmctl wants a UUID.
func uuidText(b []byte) string {
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
