package judge

import (
	"bytes"
	"testing"

	"kpm/trust/authenticode"
	"kpm/trust/chain"
	"kpm/trust/macho"
	"kpm/trust/reader"
)

// FuzzPlainScript: a file that the service does not have read is one in which
// there is nothing to be found.
func FuzzPlainScript(f *testing.F) {
	for _, seed := range []string{
		"", "#!/bin/sh\nexec true\n", "#!/bin/sh\r\n# SIG # Begin signature block\r\n# SIG # End signature block\r\n",
		"#!x\n// SIG // Begin signature block\n", "#!x\n'' SIG '' Begin signature block\n",
		"#!x\r\n<signature>\r\n** SIG ** x\r\n</signature>\r\n", "#!x\n#\x00 \x00S\x00I\x00G\x00 \x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if !reader.IsPlainScript(content) {
			return
		}
		format, found, err := authenticode.Verify(t.Context(), bytes.NewReader(content), int64(len(content)), &chain.Anchors{})
		if format != "" || len(found) != 0 || err != nil || macho.Recognise(content) || formatOf(content) != "script" {
			t.Errorf("%q: %s, %+v, %v", content, format, found, err)
		}
	})
}
