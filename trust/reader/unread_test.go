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
		"\x7fELF.....~Module signature appended~\n":                     "kernel module",
		"~Module signature appended~\n\x7fELF":                          "",
		"data" + "koly" + strings.Repeat("\x00", 508):                   "disk image",
		"-----BEGIN PGP SIGNATURE-----\n":                               "another file (OpenPGP)",
		"-----BEGIN SSH SIGNATURE-----\n":                               "another file (SSH)",
		"untrusted comment: signature from minisign\n":                  "minisign",
		"-----BEGIN PKCS7-----\n":                                       "CMS message",
		"0\x82\x06\xd5\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0": "CMS message",
		"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80":     "CMS message",
		"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80":     "", // data, which nobody signs
		"0":                                     "",
		"Cr24\x03\x00\x00\x00":                  "CRX",
		"\x7fELF\x02\x01\x01\x00AI\x02\x00\x00": "AppImage",
		"\x7fELF\x02\x01\x01\x00\x00AI\x02\x00": "",
		"\xd0\x0d\xfe\xed\x00":                  "FIT",
		"koly":                                  "",
		"\x7fELF and nothing else":              "",
		"":                                      "",
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
