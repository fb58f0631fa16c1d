package seal

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// shebangSize is how much of a file the kernel reads to find out how to execute
// it (BINPRM_BUF_SIZE).
const shebangSize = 256

var errShebang = errors.New(`its first line must be "#!", an absolute path and at most one argument, within 255 bytes`)

// shebang returns the interpreter that the kernel will start for a file that
// begins with head, "" if it is no script. It accepts a subset of what the
// kernel does (fs/binfmt_script.c): the line must end within the first 256
// bytes and hold no NUL, so that there is only one way to read it.
func shebang(head []byte) (string, error) {
	head = head[:min(len(head), shebangSize)]
	if !bytes.HasPrefix(head, []byte("#!")) {
		return "", nil
	}
	line, _, ended := bytes.Cut(head[2:], []byte{'\n'})
	if !ended || bytes.IndexByte(line, 0) >= 0 || !utf8.Valid(line) {
		return "", errShebang
	}
	name := strings.TrimLeft(string(line), " \t")
	if end := strings.IndexAny(name, " \t"); end >= 0 {
		name = name[:end]
	}
	if !strings.HasPrefix(name, "/") {
		return "", errShebang
	}
	return name, nil
}
