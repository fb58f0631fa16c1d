//go:build windows

package windows

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Names by which Windows reaches something else than the file that they look like.
// What is refused says why and what to name instead; what is a name of a file leads
// to the file's own path, which is all that policy sees.
func TestNamesThatMeanSomethingElse(t *testing.T) {
	dir := folder(t)
	program := filepath.Join(dir, "program.exe")
	write(t, program, "MZ")
	for _, c := range []struct {
		what, path string
		want       error
		says       string
	}{
		// Win32 takes these for devices in every folder; in the form that we open them
		// by they are files, which are not there.
		{"a reserved name", filepath.Join(dir, "NUL"), fs.ErrNotExist, "open"},
		{"a reserved name with an ending", filepath.Join(dir, "con.exe"), fs.ErrNotExist, "open"},
		{"a reserved name with a superscript", filepath.Join(dir, "COM\u00b9"), fs.ErrNotExist, "open"},
		{"a reserved name alone", "AUX", fs.ErrNotExist, "not an absolute path"},
		{"a device", `\\.\PhysicalDrive0`, core.ErrNotProtected, `name one, such as C:\`},
		{"a pipe", `\\.\pipe\x`, core.ErrNotProtected, `name one, such as C:\`},
		{"an object of the kernel's", `\\?\GLOBALROOT\Device\HarddiskVolume1\x.exe`, core.ErrNotProtected, `name one, such as C:\`},
		{"a share", `\\server\share\program.exe`, core.ErrNotProtected, `name one, such as C:\`},
		{"a share in the long form", `\\?\UNC\server\share\program.exe`, core.ErrNotProtected, `name one, such as C:\`},
		{"a volume", `\\?\Volume{00000000-0000-0000-0000-000000000000}\x.exe`, core.ErrNotProtected, `name one, such as C:\`},
		{"a data stream", program + ":evil", core.ErrNotProtected, `name one, such as C:\`},
		{"the unnamed data stream", program + "::$DATA", core.ErrNotProtected, `name one, such as C:\`},
		{"an index of the file system", dir + `:$I30:$INDEX_ALLOCATION`, core.ErrNotProtected, `name one, such as C:\`},
		{"without a drive", `\windows\system32\cmd.exe`, fs.ErrNotExist, "not an absolute path"},
		{"relative to a drive", `C:program.exe`, fs.ErrNotExist, "not an absolute path"},
		{"a drive that is none", `Q:\program.exe`, core.ErrNotProtected, "copy it to one"},
		// Win32 cuts these off.
		{"a dot at the end", program + ".", fs.ErrNotExist, "open"},
		{"a blank at the end", program + " ", fs.ErrNotExist, "open"},
		{"a NUL", program + "\x00.txt", fs.ErrNotExist, "NUL"},
		{"half a surrogate pair", filepath.Join(dir, "a\xed\xa0\x80.exe"), fs.ErrNotExist, "open"},
		{"a name that is too long", filepath.Join(dir, strings.Repeat("x", 300)), nil, "open"},
		{"a path that is too long", dir + strings.Repeat(`\x`, 20_000), nil, "open"},
	} {
		f, err := Files{}.Locate(c.path)
		if err == nil {
			t.Errorf("%s: opened as %s", c.what, f.Name())
			f.Close()
			continue
		}
		if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; expected %v, and %q in it", c.what, err, c.want, c.says)
		}
	}
	wide, err := windows.UTF16PtrFromString(program)
	must(t, err)
	short := make([]uint16, windows.MAX_PATH)
	if _, err := windows.GetShortPathName(wide, &short[0], uint32(len(short))); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"its 8.3 name": windows.UTF16ToString(short), "the long form": `\\?\` + program, "slashes": filepath.ToSlash(program),
		"another case": strings.ToUpper(program), "dots": dir + `\.\x\..\program.exe`,
	} {
		f, err := Files{}.Locate(path)
		if err != nil {
			t.Errorf("%s, %s: %v", what, path, err)
			continue
		}
		if info, err := (Files{}).Inspect(f); err != nil || info.Path != program {
			t.Errorf("%s, %s: it is %s, %v; expected %s", what, path, info.Path, err, program)
		}
		f.Close()
	}
}

// Attack: a folder that everybody takes for a program's own leads elsewhere.
func TestJunctions(t *testing.T) {
	dir := folder(t)
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(system(""), link))
	f, err := Files{}.LocateProtected(filepath.Join(link, "cmd.exe"))
	if err == nil {
		t.Errorf("through a link: %s", f.Name())
		f.Close()
		return
	}
	// Wine knows no link by itself: it is not there.
	if said := errors.Is(err, core.ErrNotProtected) && strings.Contains(err.Error(), "name what it leads to"); !said && !wine() {
		t.Errorf("through a link: %v", err)
	}
}

// What no processor of this machine runs. The error names the call and says what
// the file is.
func TestProgramsForOtherMachines(t *testing.T) {
	l := newLauncher(t)
	dir := folder(t)
	native, err := os.ReadFile(helperPath())
	must(t, err)
	header := int(native[0x3c]) | int(native[0x3d])<<8
	patched := func(at int, with ...byte) []byte {
		image := bytes.Clone(native)
		copy(image[at:], with)
		return image
	}
	for name, image := range map[string][]byte{
		"empty.exe":     nil,
		"text.exe":      []byte("MZ, and nothing else"),
		"elf.exe":       append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 4096)...),
		"macho.exe":     append([]byte("\xcf\xfa\xed\xfe"), make([]byte, 4096)...),
		"dos.exe":       append([]byte("MZ\x90\x00\x03\x00\x00\x00"), make([]byte, 4096)...),
		"cut.exe":       native[:header+8],
		"itanium.exe":   patched(header+4, 0x00, 0x02),
		"powerpc.exe":   patched(header+4, 0xf0, 0x01),
		"i386.exe":      patched(header+4, 0x4c, 0x01), // with the rest of 64 bits
		"no header.exe": patched(header, 'X', 'X'),
	} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, image, 0o755))
		spec := command(t, own(), "exit")
		spec.Executable = open(t, path)
		h, err := l.Prepare(t.Context(), spec)
		if err == nil {
			_, err = h.Release(t.Context())
		}
		switch {
		case wine() && errors.Is(err, windows.ERROR_FILE_NOT_FOUND): // what it says of headers that it cannot read
		case !errors.Is(err, windows.ERROR_BAD_EXE_FORMAT) && !errors.Is(err, windows.ERROR_EXE_MACHINE_TYPE_MISMATCH):
			t.Errorf("%s: %v", name, err)
		}
		if err == nil || !strings.Contains(err.Error(), "create") || !strings.Contains(err.Error(), "(it is ") {
			t.Errorf("%s: it names neither call nor remedy: %v", name, err)
		}
		spec.Executable.Close()
	}
}

// Arguments and variables that would arrive otherwise than policy has seen them, or
// not at all.
func TestArgumentsThatCannotBePassed(t *testing.T) {
	l := newLauncher(t)
	for _, c := range []struct {
		what      string
		argv, env []string
		want      error
	}{
		{"none", []string{}, nil, ErrNoArgv},
		{"half a surrogate pair", []string{"cmd", "\xed\xa0\x80"}, nil, ErrNotText},
		{"a NUL", []string{"cmd", "a\x00b"}, nil, ErrNotText},
		{"32 KiB and one more", []string{"cmd", strings.Repeat("x", maxCommandLine)}, nil, ErrTooLong},
		{"many short ones", append([]string{"cmd"}, strings.Split(strings.Repeat("a,", maxCommandLine/2), ",")...), nil, ErrTooLong},
		{"a variable with half a pair", []string{"cmd"}, []string{"A=\xed\xa0\x80"}, ErrNotText},
		{"a variable without a name", []string{"cmd"}, []string{"=x"}, ErrVariable},
		{"variables without end", []string{"cmd"}, []string{"A=" + strings.Repeat("x", maxEnvironment)}, ErrTooLong},
	} {
		spec := command(t, own(), "exit")
		spec.Argv = c.argv
		if c.env != nil {
			spec.Env = c.env
		}
		if h, err := l.Prepare(t.Context(), spec); !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), "launch: ") {
			t.Errorf("%s: %v, expected %v", c.what, err, c.want)
			if err == nil {
				h.Discard()
			}
		}
	}
	// cmd.exe itself takes 8,191 characters.
	spec := command(t, own(), "exit", "7", "&", "rem", strings.Repeat("x", 8000))
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	p, err := h.Release(t.Context())
	must(t, err)
	if status, err := p.Wait(t.Context()); err != nil || status.Code != 7 {
		t.Errorf("8,000 characters: %+v, %v", status, err)
	}
}
