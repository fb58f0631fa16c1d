package packages

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// errMalformed is wrapped when a file of a database is not what its format
// says.
var errMalformed = errors.New("the package database cannot be understood")

// Bounds of dpkg's files.
const (
	maxLine     = 1 << 20 // bytes
	maxPackages = 200_000
	maxFile     = 64 << 20 // bytes of a list, of digests and of diversions
	maxStatus   = 512 << 20
)

// installed is what dpkg's status file says of a package (deb-status,
// dpkg(1), "Package states").
type installed struct {
	name, architecture, version string
	state                       string            // "ok installed", as a rule
	conffiles                   map[string]string // path: MD5 in hex
}

// whole reports whether the package's files are all there, by dpkg's word.
func (p *installed) whole() bool { return p.state == "ok installed" }

func (p *installed) String() string { return p.name + " " + p.version }

// readStatus reads dpkg's status file: paragraphs of fields (deb822). Packages
// are found by the name that their files below info have: with an architecture
// if they are Multi-Arch: same.
func readStatus(r io.Reader) (map[string]*installed, error) {
	all := map[string]*installed{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	p := paragraph{}
	for scanner.Scan() {
		if len(scanner.Bytes()) > 0 {
			if err := p.line(scanner.Text()); err != nil {
				return nil, err
			}
			continue
		}
		if err := p.end(all); err != nil {
			return nil, err
		}
		p = paragraph{}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("%w: status: %w", errMalformed, err)
	}
	return all, p.end(all)
}

// paragraph is one package on its way.
type paragraph struct {
	fields    map[string]string
	last      string // the field that continuation lines belong to
	conffiles map[string]string
}

func (p *paragraph) line(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		if p.last == "" {
			return fmt.Errorf("%w: status: %.60q belongs to no field", errMalformed, line)
		}
		if p.last == "conffiles" {
			p.conffile(line)
		}
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.ToLower(name)
	if _, twice := p.fields[name]; !ok || twice {
		return fmt.Errorf("%w: status: %.60q is no field, or comes twice", errMalformed, line)
	}
	if p.fields == nil {
		p.fields = map[string]string{}
	}
	p.last = name
	switch name {
	case "package", "status", "version", "architecture", "multi-arch":
		p.fields[name] = strings.TrimSpace(value)
	default:
		p.fields[name] = ""
	}
	return nil
}

// conffile reads a line of the field Conffiles: path, MD5, and perhaps a flag.
// What has no MD5 yet says "newconffile".
func (p *paragraph) conffile(line string) {
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(words[0], "/") {
		return
	}
	if p.conffiles == nil {
		p.conffiles = map[string]string{}
	}
	p.conffiles[words[0]] = words[1]
}

func (p *paragraph) end(all map[string]*installed) error {
	if len(p.fields) == 0 {
		return nil
	}
	f := p.fields
	_, state, _ := strings.Cut(f["status"], " ") // without what is wanted of it
	if f["package"] == "" || state == "" {
		return fmt.Errorf("%w: status: a package without name or state", errMalformed)
	}
	key := f["package"]
	if f["multi-arch"] == "same" {
		key += ":" + f["architecture"]
	}
	// Of a package that is there for one architecture and was there for
	// another, the files below info are those of the first.
	if old := all[key]; old != nil && old.whole() {
		return nil
	}
	if len(all) == maxPackages {
		return fmt.Errorf("%w: status: more than %d packages", errMalformed, maxPackages)
	}
	all[key] = &installed{f["package"], f["architecture"], f["version"], state, p.conffiles}
	return nil
}

// eachPath calls visit with every path of a package's list: one a line,
// absolute.
func eachPath(list []byte, visit func(path []byte)) {
	for line := range bytes.Lines(list) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) > 1 && line[0] == '/' {
			visit(line)
		}
	}
}

// findMD5 looks a path up in a package's md5sums: digest in hex, two spaces, and
// the path without its first slash (dpkg's lib/dpkg/db-fsys-digest.c).
func findMD5(md5sums []byte, path string) (digest []byte, err error) {
	for line := range bytes.Lines(md5sums) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) < 35 || line[32] != ' ' || line[33] != ' ' {
			return nil, fmt.Errorf("%w: %.60q is no digest of a file", errMalformed, line)
		}
		if string(line[34:]) != path[1:] {
			continue
		}
		sum, err := hex.DecodeString(string(line[:32]))
		if err != nil {
			return nil, fmt.Errorf("%w: %.60q is no digest of a file", errMalformed, line)
		}
		if digest != nil && !bytes.Equal(digest, sum) {
			return nil, fmt.Errorf("%w: two digests of %.60q", errMalformed, path)
		}
		digest = sum
	}
	return digest, nil
}

// diversion is a file of any package but one that lies elsewhere
// (dpkg-divert(1)).
type diversion struct {
	from, to string
	by       string // the package whose own file is at from; ":" for an administrator
}

// readDiversions reads dpkg's file of that name: three lines each.
func readDiversions(data []byte) ([]diversion, error) {
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(data) == 0 {
		return nil, nil
	}
	if len(lines)%3 != 0 {
		return nil, fmt.Errorf("%w: diversions: %d lines", errMalformed, len(lines))
	}
	var list []diversion
	for ; len(lines) > 0; lines = lines[3:] {
		d := diversion{lines[0], lines[1], lines[2]}
		if !strings.HasPrefix(d.from, "/") || !strings.HasPrefix(d.to, "/") || d.by == "" {
			return nil, fmt.Errorf("%w: diversions: %.60q", errMalformed, lines[0])
		}
		list = append(list, d)
	}
	return list, nil
}
