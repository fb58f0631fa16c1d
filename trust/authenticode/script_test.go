package authenticode

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"kpm/core"
	"kpm/trust/trusttest"
)

// wide is UTF-16LE with a byte order mark.
func wide(s string) []byte {
	b := bytes.Clone(bomWideLE)
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

const greeting = "Write-Host 'hello'\r\n"

func signScript(t testing.TB, ext string, body []byte, args ...string) []byte {
	t.Helper()
	return sign(t, trusttest.New(t).Get(trusttest.Good), ext, body, args...)
}

func TestSignedScriptsAreTrusted(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for name, body := range map[string][]byte{
		"ASCII":                       []byte(greeting),
		"no line break at the end":    []byte("Write-Host 'hello'"),
		"lines end as in Unix":        []byte("Write-Host 1\nWrite-Host 2\n"),
		"UTF-8 with byte order mark":  []byte("\ufeffWrite-Host 'häßlich €😀'\r\n"),
		"UTF-16 with byte order mark": wide("Write-Host 'häßlich €😀'\r\n"),
		"zero bytes in UTF-16":        wide("Write-Host '\x00'\r\n"),
		"more than is read at once":   bytes.Repeat([]byte(greeting), 2*readSize/len(greeting)),
		"nothing but line breaks":     []byte("\r\n\r\n\r\n"),
	} {
		for _, ext := range []string{".ps1", ".psm1", ".psd1", ".ps1xml", ".psc1", ".cdxml", ".mof"} {
			signed := signScript(t, ext, body)
			format, evidence := verify(t, pki.Anchors(), signed)
			if format != formatScript || len(evidence) != 1 || standing(evidence) != core.Trusted {
				t.Errorf("%s, %s: %s %+v", name, ext, format, evidence)
			}
			if ok, printed := foreign.accepts(t, ext, signed); !ok {
				t.Errorf("%s, %s: osslsigncode refuses: %s", name, ext, printed)
			}
		}
	}
}

func TestScriptsSignedByEveryKindOfSigner(t *testing.T) {
	pki := trusttest.New(t)
	for _, x := range []struct {
		signer string
		args   []string
		want   core.Standing
	}{
		{trusttest.GoodEC, []string{"-h", "sha384"}, core.Trusted},
		{trusttest.Good, stamped(t, pki.Get(trusttest.Stamper), "-h", "sha512"), core.Trusted},
		{trusttest.Good, []string{"-h", "sha1"}, core.Untrusted},
		{trusttest.Stranger, nil, core.Untrusted},
		{trusttest.Expired, nil, core.Untrusted},
		{trusttest.ServerAuth, nil, core.Untrusted},
	} {
		signed := sign(t, pki.Get(x.signer), ".ps1", []byte(greeting), x.args...)
		if _, evidence := verify(t, pki.Anchors(), signed); standing(evidence) != x.want || len(evidence) != 1 {
			t.Errorf("%s %v: %+v", x.signer, x.args, evidence)
		}
	}
}

// A character is one whatever it is written in. A byte that is no character
// must not be the same as another that is none.
func TestScriptEncodings(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	narrowed := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("ä"), []byte{0xe4}) }
	marked := func(b []byte) []byte { return append(bytes.Clone(bomUTF8), b...) }
	for _, x := range []struct {
		name    string
		ext     string
		file    []byte
		want    core.Standing
		foreign string
	}{
		{"UTF-8", ".ps1", signScript(t, ".ps1", []byte("'ä'\r\n")), core.Trusted, ""},
		{"the same in Windows-1252", ".ps1", narrowed(signScript(t, ".ps1", []byte("'ä'\r\n"))), core.Trusted,
			"osslsigncode takes no encoding but UTF-8 and UTF-16"},
		{"another character in Windows-1252", ".ps1",
			bytes.ReplaceAll(signScript(t, ".ps1", []byte("'ä'\r\n")), []byte("ä"), []byte{0xe5}), core.Broken, ""},
		{"signed with a byte that is no character", ".ps1", signScript(t, ".ps1", []byte("'\xe4'\r\n")), core.Broken,
			"osslsigncode hashes the same for every byte that is no character"},
		{"and that byte exchanged", ".ps1",
			bytes.Replace(signScript(t, ".ps1", []byte("'\xe4'\r\n")), []byte{0xe4}, []byte{0xe5}, 1), core.Broken, "the same"},
		{"no character behind a byte order mark", ".ps1", signScript(t, ".ps1", marked([]byte("'\xe4'\r\n"))), core.Broken, "the same"},
		{"XML in UTF-8 without byte order mark", ".ps1xml", signScript(t, ".ps1xml", []byte("<a>ä</a>\r\n")), core.Broken,
			"Windows signs such files as Windows-1252 (jsign), osslsigncode as UTF-8"},
		{"UTF-8 instead of UTF-16", ".ps1", marked(utf8Of(signScript(t, ".ps1", wide("'ä'\r\n")))), core.Trusted, ""},
		{"byte order mark added", ".ps1", marked(signScript(t, ".ps1", []byte(greeting))), core.Broken, ""},
		{"byte order mark taken away", ".ps1", bytes.TrimPrefix(signScript(t, ".ps1", marked([]byte(greeting))), bomUTF8), core.Broken, ""},
		{"UTF-16, big-endian", ".ps1", swapped(signScript(t, ".ps1", wide(greeting))), core.Broken, ""},
		{"half a character at the end", ".ps1", append(signScript(t, ".ps1", wide(greeting)), 0), core.Broken, "osslsigncode does not mind what follows the block"},
	} {
		if _, evidence := verify(t, pki.Anchors(), x.file); standing(evidence) != x.want || len(evidence) != 1 {
			t.Errorf("%s: %+v", x.name, evidence)
		}
		ok, printed := foreign.accepts(t, x.ext, x.file)
		if agreed := ok == (x.want == core.Trusted); agreed == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", x.name, ok, x.foreign, printed)
		}
	}
}

// utf8Of is wide text in UTF-8, without byte order mark.
func utf8Of(b []byte) []byte { return []byte(string(utf16.Decode(units(b[2:])))) }

func swapped(b []byte) []byte {
	for pair := range slices.Chunk(b, 2) {
		slices.Reverse(pair)
	}
	return b
}

func TestFilesWithoutASignatureBlock(t *testing.T) {
	a := trusttest.New(t).Anchors()
	signed := signScript(t, ".ps1", []byte(greeting))
	for name, b := range map[string][]byte{
		"empty":                             nil,
		"shell script":                      []byte("#!/bin/sh\necho hello\n"),
		"mentions a block":                  []byte("echo ' # SIG # Begin signature block' # SIG # End signature block\n"),
		"block behind other characters":     bytes.ReplaceAll(signed, []byte("\n# "), []byte("\n #")),
		"zero bytes at the beginning":       append(make([]byte, 8), signed...),
		"large":                             bytes.Repeat([]byte("echo hello\n"), maxScript/10),
		"UTF-16":                            wide("hello\r\n"),
		"UTF-16 with a block between bytes": append([]byte("\xff\xfe "), wide("\n# SIG # Begin signature block\r\n")[2:]...),
	} {
		if format, evidence := verify(t, a, b); format != "" || len(evidence) != 0 {
			t.Errorf("%s: %s %+v", name, format, evidence)
		}
	}
}

// hosted signs a script for Windows Script Host, which no foreign signer here
// does: in UTF-16LE, with the block's place behind it. The rule is jsign's
// (WSHScript), and a script that Microsoft has signed was found to keep it.
func hosted(t testing.TB, s style, before, after string) []byte {
	t.Helper()
	text := wide(before + after)[2:]
	digest := sha256.Sum256(binary.LittleEndian.AppendUint32(text, uint32(len(utf16.Encode([]rune(before))))))
	sip := seq(number(1), octet(s.sip), number(0), number(0), number(0), number(0), number(0))
	der := draft{signer: trusttest.New(t).Get(trusttest.Good), content: digestData(oidSipInfo, sip, idSHA256, digest[:])}.der(t)
	lines := []string{before, s.first}
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(der)), 44) {
		lines = append(lines, s.open+string(line)+s.close)
	}
	return []byte(strings.Join(append(lines, s.last, after), "\r\n"))
}

func hostStyle(t testing.TB, name string) style {
	t.Helper()
	all := styles()
	return all[slices.IndexFunc(all, func(s style) bool { return s.name == name })]
}

func TestScriptsForWindowsScriptHost(t *testing.T) {
	pki := trusttest.New(t)
	js, vbs, wsf := hostStyle(t, "JScript"), hostStyle(t, "VBScript"), hostStyle(t, "Windows Script File")
	const job, end = "<job>\r\n<script language=\"JScript\">\r\nf();\r\n</script>", "</job>\r\n"
	latin := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("ä"), []byte{0xe4}) }
	for _, x := range []struct {
		name string
		file []byte
		want core.Standing
	}{
		{"JScript", hosted(t, js, "f();\r\n", ""), core.Trusted},
		{"VBScript", hosted(t, vbs, "MsgBox 1\r\n", ""), core.Trusted},
		{"VBScript in Windows-1252", latin(hosted(t, vbs, "MsgBox \"ä\"\r\n", "")), core.Trusted},
		{"VBScript in UTF-8", hosted(t, vbs, "MsgBox \"ä\"\r\n", ""), core.Broken},
		{"VBScript in UTF-8 with byte order mark", append(bytes.Clone(bomUTF8), hosted(t, vbs, "MsgBox \"ä😀\"\r\n", "")...), core.Trusted},
		{"VBScript in UTF-16", wide(string(hosted(t, vbs, "MsgBox \"ä😀\"\r\n", ""))), core.Trusted},
		{"undefined characters", bytes.ReplaceAll(hosted(t, vbs, "'\u0081\u20ac\r\n", ""), []byte("\u0081\u20ac"), []byte{0x81, 0x80}), core.Trusted},
		{"Windows Script File", hosted(t, wsf, job, end), core.Trusted},
		{"Windows Script File with a package", hosted(t, wsf, "<package>\r\n"+job, end+"</package>\r\n"), core.Trusted},
		{"text behind the last job", hosted(t, wsf, job, end+"<job/>"), core.Broken},
		{"block before something else", hosted(t, wsf, job, "<!-- -->"+end), core.Broken},
		{"block at the end", hosted(t, wsf, job+end, ""), core.Broken},
		{"block of a Windows Script File without its beginning",
			bytes.Replace(hosted(t, wsf, job, end), []byte("<signature>"), []byte("<signaturf>"), 1), core.Broken},
		{"block of JScript for VBScript", func() []byte {
			s := js
			s.first, s.last, s.open = vbs.first, vbs.last, vbs.open
			return hosted(t, s, "x\r\n", "")
		}(), core.Broken},
		{"a comment before the place", hosted(t, js, "f();//\r\n", ""), core.Trusted},
		{"text changed", bytes.Replace(hosted(t, js, "f();\r\n", ""), []byte("f()"), []byte("g()"), 1), core.Broken},
		{"text moved behind the block", func() []byte {
			b := hosted(t, js, "f();\r\ng();\r\n", "")
			return append(bytes.Replace(b, []byte("g();\r\n"), nil, 1), "g();\r\n"...)
		}(), core.Broken},
	} {
		format, evidence := verify(t, pki.Anchors(), x.file)
		if format != formatScript || standing(evidence) != x.want || len(evidence) != 1 {
			t.Errorf("%s: %s %+v\n%s", x.name, format, evidence, x.file)
		}
	}
}
