package reader_test

import (
	"strings"
	"testing"

	"kpm/trust/reader"
)

// A file whose signatures nobody here reads is not one without any.
func TestUnread(t *testing.T) {
	for content, want := range map[string]string{
		"PK\x03\x04" + strings.Repeat("x", 100): "ZIP archive",
		"xar!":                                  "macOS (xar)",
		"%PDF-1.7":                              "PDF",
		"\xed\xab\xee\xdb\x03":                  "RPM",
		"!<arch>\ndebian-binary   ":             "Debian package",
		"!<arch>\nlib.o/":                       "",
		"\x7fELF.....~Module signature appended~\n":   "kernel module",
		"~Module signature appended~\n\x7fELF":        "",
		"data" + "koly" + strings.Repeat("\x00", 508): "disk image",
		"koly":                     "",
		"\x7fELF and nothing else": "",
		"":                         "",
	} {
		got, err := reader.Unread(strings.NewReader(content), int64(len(content)))
		if err != nil || want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	if _, err := reader.Unread(strings.NewReader("short"), 10); err == nil {
		t.Error("a file that shrank")
	}
}
