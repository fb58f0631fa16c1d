package runas

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// written is a link as [MS-SHLLINK] lays it out, with the parts that are set.
type written struct {
	list                 []byte // shell items
	local, suffix        string // LinkInfo, in ASCII
	wide                 string // LinkInfo's path in UTF-16, if set
	name, relative, icon string
	dir, arguments       string
	environment          string
	ansi                 bool // strings, and the path with variables
	flags                uint32
}

func (w written) bytes() []byte {
	le := binary.LittleEndian
	flags := w.flags
	var body []byte
	if w.list != nil {
		flags |= hasTargetList
		body = append(le.AppendUint16(body, uint16(len(w.list))), w.list...)
	}
	if w.local != "" || w.wide != "" {
		flags |= hasLinkInfo
		header := uint32(0x1c)
		if w.wide != "" {
			header = 0x24
		}
		local := append([]byte(w.local), 0)
		suffix := append([]byte(w.suffix), 0)
		info := make([]byte, header)
		le.PutUint32(info[4:], header)
		le.PutUint32(info[8:], 1)
		le.PutUint32(info[0x10:], header)
		le.PutUint32(info[0x18:], header+uint32(len(local)))
		info = append(append(info, local...), suffix...)
		if w.wide != "" {
			le.PutUint32(info[0x1c:], uint32(len(info)))
			info = append(append(info, wide(w.wide)...), 0, 0)
			le.PutUint32(info[0x20:], uint32(len(info)))
			info = append(info, 0, 0)
		}
		le.PutUint32(info, uint32(len(info)))
		body = append(body, info...)
	}
	if !w.ansi {
		flags |= isUnicode
	}
	for _, part := range []struct {
		flag uint32
		text string
	}{{hasName, w.name}, {hasRelativePath, w.relative}, {hasWorkingDir, w.dir}, {hasArguments, w.arguments}, {hasIcon, w.icon}} {
		if part.text == "" {
			continue
		}
		flags |= part.flag
		if w.ansi {
			body = append(le.AppendUint16(body, uint16(len(part.text))), part.text...)
		} else {
			units := wide(part.text)
			body = append(le.AppendUint16(body, uint16(len(units)/2)), units...)
		}
	}
	if w.environment != "" {
		flags |= hasEnvironment
		body = append(body, 0x10, 0, 0, 0, 5, 0, 0, 0xa0, 1, 2, 3, 4, 5, 6, 7, 8) // a block that is not ours
		block := make([]byte, 8+260+520)
		le.PutUint32(block, uint32(len(block)))
		le.PutUint32(block[4:], environmentBlock)
		copy(block[8:], w.environment)
		if !w.ansi {
			copy(block[8+260:], wide(w.environment))
		}
		body = append(body, block...)
	}
	body = append(body, 0, 0, 0, 0)
	header := make([]byte, headerSize)
	le.PutUint32(header, headerSize)
	copy(header[4:], classID)
	le.PutUint32(header[20:], flags)
	return append(header, body...)
}

func wide(s string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// disk is a Host on files that the test has written.
func disk(files map[string][]byte) Host {
	return Host{
		ReadFile: func(path string, _ int64) ([]byte, error) {
			data, ok := files[path]
			if !ok {
				return nil, errors.New("there is no " + path)
			}
			return data, nil
		},
		Split: func(s string) ([]string, error) { return strings.Fields(s), nil },
		Expand: func(s string) (string, error) {
			return strings.ReplaceAll(s, "%ProgramFiles%", `C:\Program Files`), nil
		},
	}
}

func TestResolve(t *testing.T) {
	const tool = `C:\Program Files\Tool\tool.exe`
	for name, tc := range map[string]struct {
		file string
		args []string
		link written
		want Command
	}{
		"a program":           {file: `C:\Tool.EXE`, args: []string{"a b", ""}, want: Command{Argv: []string{`C:\Tool.EXE`, "a b", ""}}},
		"a package":           {file: `D:\reader.msi`, args: []string{"/qb"}, want: Command{Argv: []string{"msiexec.exe", "/i", `D:\reader.msi`, "/qb"}}},
		"a patch":             {file: `D:\reader.msp`, want: Command{Argv: []string{"msiexec.exe", "/p", `D:\reader.msp`}}},
		"a console":           {file: `C:\Windows\System32\printmanagement.msc`, want: Command{Argv: []string{"mmc.exe", `C:\Windows\System32\printmanagement.msc`}}},
		"a link":              {link: written{local: tool}, want: Command{Argv: []string{tool}}},
		"a link in two parts": {link: written{local: `C:\Program Files\`, suffix: `Tool\tool.exe`}, want: Command{Argv: []string{tool}}},
		"a link beyond ASCII": {link: written{local: `C:\?.exe`, wide: `C:\Größe.exe`}, want: Command{Argv: []string{`C:\Größe.exe`}}},
		"arguments and a folder": {args: []string{"last"}, link: written{list: []byte{1, 2, 3}, local: tool, name: "The tool", relative: `..\tool.exe`, dir: `%ProgramFiles%\Tool`, arguments: "--first second", icon: "x"},
			want: Command{Argv: []string{tool, "--first", "second", "last"}, Dir: `C:\Program Files\Tool`}},
		"variables come first":     {link: written{local: `C:\old.exe`, environment: `%ProgramFiles%\Tool\tool.exe`}, want: Command{Argv: []string{tool}}},
		"variables in ASCII":       {link: written{ansi: true, arguments: "a", environment: `%ProgramFiles%\Tool\tool.exe`}, want: Command{Argv: []string{tool, "a"}}},
		"lengths that count a NUL": {link: written{local: tool, arguments: "x\x00"}, want: Command{Argv: []string{tool, "x"}}},
		"a link to a console":      {link: written{local: `C:\x.msc`, arguments: "/32"}, want: Command{Argv: []string{"mmc.exe", `C:\x.msc`, "/32"}}},
		"its stored path is off":   {link: written{local: `C:\old.exe`, flags: ignoresLinkInfo, environment: tool}, want: Command{Argv: []string{tool}}},
	} {
		t.Run(name, func(t *testing.T) {
			file := tc.file
			if file == "" {
				file = `C:\Users\Public\Desktop\Tool.lnk`
			}
			got, err := Resolve(disk(map[string][]byte{`C:\Users\Public\Desktop\Tool.lnk`: tc.link.bytes()}), file, tc.args)
			if err != nil || !slices.Equal(got.Argv, tc.want.Argv) || got.Dir != tc.want.Dir {
				t.Errorf("%q, %v\nwant %q", got, err, tc.want)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	whole := written{local: `C:\tool.exe`, arguments: "x"}.bytes()
	for name, tc := range map[string]struct {
		file string
		data []byte
		want error
	}{
		"a script":                    {file: `C:\a.ps1`, want: ErrScript},
		"a batch file":                {file: `C:\a.CMD`, want: ErrScript},
		"a document":                  {file: `C:\a.docx`, want: ErrKind},
		"no ending":                   {file: `C:\some.folder\a`, want: ErrKind},
		"a link to a link":            {data: written{local: `C:\other.lnk`}.bytes(), want: ErrChain},
		"a link to a script":          {data: written{local: `C:\a.bat`}.bytes(), want: ErrScript},
		"a link to no file":           {data: written{list: []byte{1, 2}}.bytes(), want: ErrLink},
		"a path of another code page": {data: written{local: "C:\\\xe4.exe"}.bytes(), want: ErrLink},
		"something else":              {data: []byte("MZ"), want: ErrLink},
		"nothing":                     {data: []byte{}, want: ErrLink},
		"half a link":                 {data: whole[:len(whole)-7], want: ErrLink},
		"sizes that lie":              {data: append(slices.Clone(whole[:headerSize]), 0xff, 0xff, 0xff, 0xff), want: ErrLink},
	} {
		t.Run(name, func(t *testing.T) {
			file := tc.file
			if file == "" {
				file = `C:\a.lnk`
			}
			if got, err := Resolve(disk(map[string][]byte{`C:\a.lnk`: tc.data}), file, nil); !errors.Is(err, tc.want) {
				t.Errorf("%q, %v; want %v", got, err, tc.want)
			}
		})
	}
}

// Whatever a file holds, reading it ends, and what comes of it is no more than was in
// it.
func FuzzParseLink(f *testing.F) {
	for _, w := range []written{{local: `C:\tool.exe`}, {wide: `C:\ä.exe`, arguments: "x"}, {environment: "%x%", ansi: true}, {list: []byte{1}}} {
		f.Add(w.bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		link, err := parseLink(data)
		if err == nil && link.target == "" {
			t.Error("no target, and no error")
		}
		if len(link.target)+len(link.dir)+len(link.arguments) > 3*len(data) {
			t.Error("more than there was")
		}
	})
}
