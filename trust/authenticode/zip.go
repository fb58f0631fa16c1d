package authenticode

import (
	"io"

	"kpm/trust/archive"
)

// checkZip refuses a file that is a ZIP archive as well, unless signed knows
// the whole archive to lie in signed bytes (CVE-2020-1464).
func checkZip(r io.ReaderAt, size int64, signed func(span) bool) error {
	hidden, err := archive.Hidden(r, size, func(start, end int64) bool { return signed(span{start, end}) })
	if hidden {
		return malformed("a ZIP archive that nobody signed is hidden in the file")
	}
	return err
}
