package authenticode

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// style is how a language comments a signature into a script, and which SIP
// signs it so. The PowerShell ones are PowerShell's own (pwrshsip.dll), the
// others those of Windows Script Host (wshext.dll).
type style struct {
	name        string // of the language, for people
	first, last string // lines of the block
	open, close string // of the lines in between, around the Base64
	mark        string // a line that begins so claims to be of a block
	sip         []byte
	host        bool // Windows Script Host: the block's place is signed, a byte order mark is not
	legacy      bool // 8-bit text without byte order mark is Windows-1252 even if it could be UTF-8
	inside      bool // the block stands before the end tag of the last job, not at the end
}

// SIP GUIDs as they lie in a file.
var (
	sipPowerShell = []byte{0x1f, 0xcc, 0x3b, 0x60, 0x59, 0x4b, 0x08, 0x4e, 0xb7, 0x24, 0xd2, 0xc6, 0x29, 0x7e, 0xf3, 0x51}
	sipJScript    = []byte{0x10, 0xe0, 0xc9, 0x06, 0xce, 0x38, 0xd4, 0x11, 0xa2, 0xa3, 0x00, 0x10, 0x4b, 0xd3, 0x50, 0x90}
	sipVBScript   = []byte{0x4e, 0xf0, 0x29, 0x16, 0x99, 0x27, 0xb5, 0x4d, 0x8f, 0xe5, 0xac, 0xe1, 0x0f, 0x17, 0xeb, 0xab}
	sipWSF        = []byte{0x70, 0x05, 0x61, 0x1a, 0xce, 0x38, 0xd4, 0x11, 0xa2, 0xa3, 0x00, 0x10, 0x4b, 0xd3, 0x50, 0x90}
)

// blockWord is in every line that claims to be of a block.
const blockWord = " SIG "

func styles() []style {
	return []style{
		commented("PowerShell", "# ", "SIG # ", "", sipPowerShell, style{}),
		commented("PowerShell XML", "<!-- ", "SIG # ", " -->", sipPowerShell, style{legacy: true}),
		commented("MOF", "/* ", "SIG # ", " */", sipPowerShell, style{}),
		commented("JScript", "// SIG // ", "", "", sipJScript, style{host: true, legacy: true}),
		commented("VBScript", "'' SIG '' ", "", "", sipVBScript, style{host: true, legacy: true}),
		{name: "Windows Script File", first: "<signature>", last: "</signature>", open: "** SIG ** ", mark: "** SIG ** ",
			sip: sipWSF, host: true, legacy: true, inside: true},
	}
}

// commented is a style whose block begins and ends with a comment that says so.
func commented(name, open, tag, end string, sip []byte, s style) style {
	s.name, s.open, s.close, s.sip = name, open, end, sip
	s.first, s.last = open+tag+"Begin signature block"+end, open+tag+"End signature block"+end
	s.mark = open + tag
	return s
}

const lineEnd = "\r\n"

// block is a script's signature block.
type block struct {
	style
	from, to  int    // of it in the text's body, the line break before it and its own counted
	signature []byte // what it encodes
}

// claimed finds the first line that claims to be of a signature block.
func (t text) claimed() (line int, claim style, ok bool) {
	needle, feed := t.encode(blockWord), t.encode("\n")
	all := styles()
	marks, before := make([][]byte, len(all)), make([]int, len(all))
	for i, s := range all {
		marks[i] = t.encode(s.mark)
		before[i] = len(t.encode(s.mark[:strings.Index(s.mark, blockWord)]))
	}
	for at := t.index(t.body, needle, 0); at >= 0; at = t.index(t.body, needle, at+len(needle)) {
		for i, s := range all {
			start := at - before[i]
			if start >= 0 && bytes.HasPrefix(t.body[start:], marks[i]) && (start == 0 || bytes.HasSuffix(t.body[:start], feed)) {
				return start, s, true
			}
		}
	}
	return 0, style{}, false
}

// at reports whether s stands at offset i.
func (t text) at(i int, s string) bool {
	return i >= 0 && i <= len(t.body) && bytes.HasPrefix(t.body[i:], t.encode(s))
}

// block reads the signature block whose first line that claims to be of one
// begins at offset line. A block that is not written exactly as signers do, or
// that something follows, may be a block for one reader and text that runs for
// another.
func (t text) block(line int, s style) (block, error) {
	b := block{style: s}
	width := len(t.encode(s.first + lineEnd))
	begin := line
	if s.inside { // the line that tells it is the second
		begin -= width
	}
	b.from = begin - len(t.encode(lineEnd))
	if !t.at(b.from, lineEnd+s.first+lineEnd) {
		return b, malformed("the script's signature block does not begin as one")
	}
	at := begin + width
	var encoded strings.Builder
	for !t.at(at, s.last+lineEnd) {
		next := t.index(t.body, t.encode("\n"), at)
		if next < 0 {
			return b, malformed("the script's signature block does not end")
		}
		next += len(t.encode("\n"))
		content, ok := t.decode(t.body[at:next])
		if ok {
			content, ok = strings.CutPrefix(content, s.open)
		}
		if ok {
			content, ok = strings.CutSuffix(content, s.close+lineEnd)
		}
		// The decoder passes over line breaks; here each is accounted for.
		if !ok || content == "" || strings.ContainsAny(content, lineEnd) {
			return b, malformed("the script's signature block has a line that is not of one")
		}
		encoded.WriteString(content)
		at = next
	}
	b.to = at + len(t.encode(s.last+lineEnd))
	var err error
	if b.signature, err = base64.StdEncoding.Strict().DecodeString(encoded.String()); err != nil || len(b.signature) == 0 {
		return b, malformed("the script's signature block is not Base64")
	}
	return b, t.checkRest(b)
}

// checkRest looks at what follows the block. A Windows Script File ends behind
// it, anything else in it.
func (t text) checkRest(b block) error {
	rest, ok := t.decode(t.body[b.to:])
	if ok && b.inside {
		rest, ok = strings.CutPrefix(rest, "</job>")
		rest = strings.TrimPrefix(strings.TrimLeft(rest, " \t\r\n"), "</package>")
		rest = strings.TrimLeft(rest, " \t\r\n")
	}
	if !ok || rest != "" {
		return malformed("text follows the script's signature block")
	}
	return nil
}
