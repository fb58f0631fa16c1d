package reader

import (
	"bytes"
	"errors"
	"io"
)

// Kinds of files that carry signatures of their own which nobody here reads, by
// how they begin.
var unread = []struct{ begins, kind string }{
	{"PK\x03\x04", "a ZIP archive (JAR, APK, MSIX, NuGet, Office)"},
	{"%PDF-", "a PDF document"},
	{"xar!", "a package for macOS (xar)"},
	{"\xed\xab\xee\xdb", "an RPM package"},
	{"!<arch>\ndebian-binary", "a Debian package"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a compound document (Office)"},
	{"-----BEGIN PGP SIGNED MESSAGE-----", "a clear-signed text (OpenPGP)"},
	{"-----BEGIN PGP MESSAGE-----", "an OpenPGP message"},
	{"-----BEGIN PGP SIGNATURE-----", "a signature over another file (OpenPGP)"},
	{"-----BEGIN SSH SIGNATURE-----", "a signature over another file (SSH)"},
	{"untrusted comment: ", "a signature or key (signify, minisign)"},
	{"-----BEGIN PKCS7-----", cmsMessage},
	{"-----BEGIN CMS-----", cmsMessage},
	{"Cr24", "a browser extension (CRX)"},
	{"ANDROID!", "a boot image for Android"},
	{"\xd0\x0d\xfe\xed", "a boot image (FIT) or device tree"},
}

const cmsMessage = "a CMS message (PKCS #7: mail, profiles, certificates, signatures over other files)"

// Marks within the first bytes: from where they may begin, and before where they
// end.
var unreadWithin = []struct {
	begins, mark, kind string
	from, to           int
}{
	{"\x7fELF", "AI\x02", "an AppImage", 8, 11},
	{"0", "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", cmsMessage, 2, 40}, // a SEQUENCE with the type SignedData
}

// And by how they end: the mark, and where it begins, counted from the end.
var unreadEnds = []struct {
	mark, kind string
	at         int64
}{
	{"~Module signature appended~\n", "a Linux kernel module", 28},
	{"koly", "a disk image for macOS", 512},
}

// Unread says what kind of file it is if its kind carries signatures that nobody
// here reads: then "not signed" would say too much. It looks for marks and parses
// nothing, so whoever may read the bytes may do so.
func Unread(content io.ReaderAt, size int64) (string, error) {
	head := make([]byte, min(size, 64))
	if err := readAt(content, head, 0); err != nil {
		return "", err
	}
	for _, u := range unread {
		if bytes.HasPrefix(head, []byte(u.begins)) {
			return u.kind, nil
		}
	}
	for _, u := range unreadWithin {
		if bytes.HasPrefix(head, []byte(u.begins)) && len(head) >= u.from && bytes.Contains(head[u.from:min(u.to, len(head))], []byte(u.mark)) {
			return u.kind, nil
		}
	}
	for _, u := range unreadEnds {
		if size < u.at {
			continue
		}
		mark := make([]byte, len(u.mark))
		if err := readAt(content, mark, size-u.at); err != nil {
			return "", err
		}
		if string(mark) == u.mark {
			return u.kind, nil
		}
	}
	return "", nil
}

func readAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
