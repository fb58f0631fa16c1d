package reader

import "bytes"

// IsELF reports whether a file that begins with head is ELF, which carries no
// signature within its bytes.
func IsELF(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// MaxPlain bounds what IsPlainScript is asked about, in bytes.
const MaxPlain = 64 << 10

// IsPlainScript reports whether content, a whole file, is a script that starts
// with "#!" and carries no signature: every signature block has the letters SIG
// in each line (package authenticode), and without a NUL they cannot be
// there in UTF-16. That looks for bytes and parses none, so whoever may read
// them may do so.
func IsPlainScript(content []byte) bool {
	return bytes.HasPrefix(content, []byte("#!")) && !bytes.Contains(content, []byte("SIG")) && bytes.IndexByte(content, 0) < 0
}
