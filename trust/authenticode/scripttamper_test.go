package authenticode

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"kpm/trust/trusttest"
)

const (
	beginLine = "# SIG # Begin signature block\r\n"
	endLine   = "# SIG # End signature block\r\n"
)

// replaced exchanges the first occurrence of a text that has to be there.
func replaced(old, by string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("no " + old)
		}
		return bytes.Replace(b, []byte(old), []byte(by), 1)
	}
}

// blockOf is the block of a signed script, from the line break before it on.
func blockOf(b []byte) string {
	return string(b[bytes.Index(b, []byte("\r\n"+beginLine)):])
}

// inBlock changes the first line with Base64.
func inBlock(change func(line string) string) func([]byte) []byte {
	return func(b []byte) []byte {
		before, after, _ := strings.Cut(string(b), beginLine)
		line, rest, _ := strings.Cut(after, "\r\n")
		return []byte(before + beginLine + change(line) + "\r\n" + rest)
	}
}

// zerosBehind puts eight zero bytes behind the signature in the block, as they may
// stand behind one in an image.
func zerosBehind(b []byte) []byte {
	before, block, _ := strings.Cut(string(b), beginLine)
	encoded := strings.NewReplacer("# ", "", "\r\n", "").Replace(strings.TrimSuffix(block, endLine))
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	after := beginLine
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(append(der, make([]byte, 8)...))), 64) {
		after += "# " + string(line) + "\r\n"
	}
	return []byte(before + after + endLine)
}

func scriptTamperings(other []byte) []tampering {
	const evil = "Remove-Item C:\\ -Recurse\r\n"
	const lax = "osslsigncode does not mind how the block is written"
	const follows = "osslsigncode does not mind what follows the block"
	const first = "osslsigncode looks at the first block only"
	suffix := func(s string) func([]byte) []byte { return func(b []byte) []byte { return append(b, s...) } }
	prefix := func(s string) func([]byte) []byte { return func(b []byte) []byte { return append([]byte(s), b...) } }
	return []tampering{
		{name: "nothing", want: harmless, change: func(b []byte) []byte { return b }},
		{name: "first character", want: broken, change: flip(0)},
		{name: "last character", want: broken, change: func(b []byte) []byte { return flip(len(b) - len(blockOf(b)) - 1)(b) }},
		{name: "case", want: broken, change: replaced("hello", "Hello")},
		{name: "line in front", want: broken, change: prefix(evil)},
		{name: "interpreter in front", want: broken, change: prefix("#!/bin/sh\n")},
		{name: "line before the block", want: broken, change: replaced("\r\n"+beginLine, "\r\n"+evil+beginLine)},
		{name: "line taken away", want: broken, change: replaced("Write-Host 'world'\r\n", "")},
		{name: "lines exchanged", want: broken, change: func(b []byte) []byte {
			return []byte("Write-Host 'world'\r\nWrite-Host 'hello'\r\n" + blockOf(b))
		}},
		{name: "line break more", want: broken, change: replaced("\r\n"+beginLine, "\r\n\r\n"+beginLine)},
		{name: "line break fewer", want: broken, change: replaced("'world'\r\n", "'world'")},
		{name: "text with Unix line breaks", want: broken, change: replaced("'hello'\r\n", "'hello'\n")},
		{name: "space at the end of a line", want: broken, change: replaced("'hello'\r\n", "'hello' \r\n")},
		{name: "zero byte", want: none, change: replaced("'hello'", "'hello\x00'")},
		{name: "text only", want: none, change: func(b []byte) []byte { return b[:len(b)-len(blockOf(b))] }},
		{name: "block only", want: broken, change: func(b []byte) []byte { return []byte(blockOf(b)) }},
		{name: "block only, from its first line", want: broken, change: func(b []byte) []byte { return []byte(blockOf(b)[2:]) }},

		{name: "line after the block", want: broken, foreign: follows, change: suffix(evil)},
		{name: "comment after the block", want: broken, foreign: follows, change: suffix("# harmless\r\n")},
		{name: "line break after the block", want: broken, foreign: follows, change: suffix("\r\n")},
		{name: "space after the block", want: broken, foreign: follows, change: suffix(" ")},
		{name: "zero byte after the block", want: none, foreign: follows, change: suffix("\x00")},
		{name: "end of file mark after the block", want: broken, foreign: follows, change: suffix("\x1a")},
		{name: "text after the block's last word", want: broken, foreign: follows,
			change: replaced("End signature block\r\n", "End signature block; "+evil)},
		{name: "block first", want: broken, change: func(b []byte) []byte {
			return []byte(blockOf(b)[2:] + string(b[:len(b)-len(blockOf(b))]))
		}},
		{name: "block in the middle", want: broken, change: func(b []byte) []byte {
			text, block := string(b[:len(b)-len(blockOf(b))]), blockOf(b)
			return []byte(strings.Replace(text, "'hello'", "'hello'"+block, 1))
		}},
		{name: "the block twice", want: broken, foreign: first, change: func(b []byte) []byte { return append(b, blockOf(b)...) }},
		{name: "another script's block behind it", want: broken, foreign: first, change: func(b []byte) []byte { return append(b, blockOf(other)...) }},
		{name: "another script's block before it", want: broken, change: func(b []byte) []byte {
			return []byte(string(b[:len(b)-len(blockOf(b))]) + blockOf(other) + blockOf(b))
		}},
		{name: "another script's block", want: broken, change: func(b []byte) []byte {
			return []byte(string(b[:len(b)-len(blockOf(b))]) + blockOf(other))
		}},
		{name: "another script's text", want: broken, change: func(b []byte) []byte {
			return []byte(string(other[:len(other)-len(blockOf(other))]) + blockOf(b))
		}},
		{name: "block of JScript in front", want: broken, change: prefix("// SIG // Begin signature block\r\n// SIG // End signature block\r\n")},

		{name: "Unix line breaks", want: broken, change: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }},
		{name: "Unix line break before the block", want: broken, change: replaced("'world'\r\n\r\n", "'world'\r\n\n")},
		{name: "Unix line break in the block", want: broken, change: replaced(beginLine, strings.Replace(beginLine, "\r", "", 1))},
		{name: "Unix line break at the end", want: broken, change: replaced(endLine, strings.Replace(endLine, "\r", "", 1)), foreign: lax},
		{name: "no line break at the end", want: broken, change: replaced(endLine, endLine[:len(endLine)-2]), foreign: lax},
		{name: "no beginning", want: broken, change: replaced(beginLine, "")},
		{name: "no end", want: broken, change: replaced(endLine, "")},
		{name: "no signature", want: broken, change: func(b []byte) []byte {
			return []byte(string(b[:len(b)-len(blockOf(b))]) + "\r\n" + beginLine + endLine)
		}},
		{name: "beginning in capitals", want: broken, change: replaced("Begin", "BEGIN")},
		{name: "beginning is not the whole line", want: broken, change: replaced(beginLine, "# SIG # Begin signature block # \r\n")},
		{name: "beginning indented", want: broken, change: replaced(beginLine, " "+beginLine)},
		{name: "code in a line of the block", want: broken, change: inBlock(func(string) string { return evil[:len(evil)-2] })},
		{name: "code between lines of the block", want: broken, foreign: lax, change: inBlock(func(s string) string { return s + "\r\n" + evil[:len(evil)-2] })},
		{name: "code behind a lone carriage return", want: broken, change: inBlock(func(s string) string { return s + "\r" + evil[:len(evil)-2] })},
		{name: "lone carriage return in a line", want: broken, foreign: lax, change: inBlock(func(s string) string { return s[:20] + "\r" + s[20:] })},
		{name: "empty line in the block", want: broken, foreign: lax, change: inBlock(func(s string) string { return s + "\r\n" })},
		{name: "empty comment in the block", want: broken, foreign: lax, change: inBlock(func(s string) string { return s + "\r\n# " })},
		{name: "a line without its comment", want: broken, change: inBlock(func(s string) string { return s[2:] })},
		{name: "a line with two comments", want: broken, change: inBlock(func(s string) string { return "# " + s })},
		{name: "character that is not of Base64", want: broken, change: inBlock(func(s string) string { return s[:20] + "-" + s[21:] })},
		{name: "character between those of Base64", want: broken, change: inBlock(func(s string) string { return s[:20] + "!" + s[20:] })},
		{name: "space between those of Base64", want: broken, change: inBlock(func(s string) string { return s[:20] + " " + s[20:] })},
		{name: "padding in the middle", want: broken, change: inBlock(func(s string) string { return s[:20] + "==" + s[22:] })},
		{name: "another character of Base64", want: broken, change: inBlock(func(s string) string { return s[:20] + "z" + s[21:] })},
		{name: "a line twice", want: broken, change: inBlock(func(s string) string { return s + "\r\n" + s })},
		{name: "a line taken away", want: broken, change: func(b []byte) []byte {
			before, after, _ := strings.Cut(string(b), beginLine)
			_, after, _ = strings.Cut(after, "\r\n")
			return []byte(before + beginLine + after)
		}},
		{name: "lines of another length", want: harmless, change: inBlock(func(s string) string { return s[:10] + "\r\n# " + s[10:] })},
		{name: "a payload behind the signature", want: broken, foreign: follows,
			change: replaced("\r\n"+endLine, "\r\n# AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"+endLine)},
		{name: "zeros behind the signature", want: broken, foreign: follows, change: zerosBehind},

		{name: "empty", want: none, change: func([]byte) []byte { return nil }},
		{name: "cut in the text", want: none, change: func(b []byte) []byte { return b[:10] }},
		{name: "cut in the block", want: broken, change: func(b []byte) []byte { return b[:len(b)-200] }},
		{name: "cut in the block's beginning", want: broken, change: func(b []byte) []byte { return b[:len(b)-len(blockOf(b))+20] }},
		{name: "last byte cut off", want: broken, foreign: lax, change: func(b []byte) []byte { return b[:len(b)-1] }},
	}
}

func TestNoTamperedScriptIsTrusted(t *testing.T) {
	const text = "Write-Host 'hello'\r\nWrite-Host 'world'\r\n"
	other := signScript(t, ".ps1", []byte("Write-Host 'bye'\r\n"))
	manipulate(t, ".ps1", signScript(t, ".ps1", []byte(text)), scriptTamperings(other))
}

// What holds for one encoding holds for the other.
func TestNoTamperedWideScriptIsTrusted(t *testing.T) {
	pki := trusttest.New(t)
	const text = "Write-Host 'hello'\r\nWrite-Host 'world'\r\n"
	other := utf8Of(signScript(t, ".ps1", wide("Write-Host 'bye'\r\n")))
	file := utf8Of(signScript(t, ".ps1", wide(text)))
	for _, x := range scriptTamperings(other) {
		changed := wide(string(x.change(bytes.Clone(file))))
		_, evidence := verify(t, pki.Anchors(), changed)
		got := outcome(evidence)
		if strings.HasPrefix(x.name, "zero byte") && got == broken { // without which there is no UTF-16
			continue
		}
		if got != x.want {
			t.Errorf("%s: %s, want %s: %+v", x.name, got, x.want, evidence)
		}
	}
}

// Every byte of a signed script, one bit turned over in each: it is not Trusted
// any more, without exception.
func TestOneBitInEveryByteOfASignedScript(t *testing.T) {
	signer := trusttest.New(t).Get(trusttest.GoodEC)
	strideSubject(t, sign(t, signer, ".ps1", []byte("\ufeffWrite-Host 'ä'\r\n")), readScript, nil)
	strideSubject(t, sign(t, signer, ".ps1", wide(greeting)), readScript, nil)
	strideSubject(t, hosted(t, hostStyle(t, "VBScript"), "MsgBox 1\r\n", ""), readScript, nil)
}

func TestScriptThatIsTooLarge(t *testing.T) {
	pki := trusttest.New(t)
	block := blockOf(signScript(t, ".ps1", []byte(greeting)))
	for _, file := range [][]byte{
		append(bytes.Repeat([]byte("# comment\r\n"), maxScript/10), block...),
		append(wide(strings.Repeat("# comment\r\n", maxScript/20)), wide(block)[2:]...),
	} {
		format, evidence := verify(t, pki.Anchors(), file)
		if format != formatScript || outcome(evidence) != broken || !strings.Contains(evidence[0].Reason, "larger than 16 MiB") {
			t.Errorf("%s %+v", format, evidence)
		}
	}
}
