//go:build linux

package linux

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// maxVerdictMemory is what a reader may take for a file of any size, in KiB: 40 MB.
const maxVerdictMemory = 40_000_000 >> 10

// Whatever a program's size, it is read piece by piece.
func TestAReadersMemoryOnAnySize(t *testing.T) {
	pool, waits, _, q := harmed(t)
	dir, _, _ := fixtures(t)
	signed, err := os.ReadFile(filepath.Join(dir, trusttest.Good+".exe"))
	must(t, err)
	for _, size := range []int64{50 << 20, 150 << 20, 400 << 20, 1 << 30} {
		f := stretched(t, signed, size)
		q.Size = size
		v, err := pool.Read(t.Context(), f, q)
		must(t, err)
		must(t, f.Close())
		// It was read to its end: its digest is not the one that was signed.
		if len(v.Evidence) != 1 || v.Evidence[0].Standing != core.Broken || !strings.Contains(v.Evidence[0].Reason, "changed after it was signed") {
			t.Fatalf("%d MiB: %+v", size>>20, v.Evidence)
		}
		most, _, _ := strings.Cut(statusOf(t, waits.id.PID)["VmHWM"], " ")
		if kib, err := strconv.Atoi(most); err != nil || kib > maxVerdictMemory {
			t.Errorf("%d MiB: %s KiB, %v", size>>20, most, err)
		}
		t.Logf("%d MiB: %s KiB", size>>20, most)
	}
}

// stretched is a signed image with a hole before its certificate table.
func stretched(t *testing.T, signed []byte, size int64) *os.File {
	t.Helper()
	const certificateEntry = 24 + 112 + 4*8 // behind the PE header's beginning (PE32+)
	at := binary.LittleEndian.Uint32(signed[0x3c:]) + certificateEntry
	table := binary.LittleEndian.Uint32(signed[at:])
	f, err := os.Create(filepath.Join(t.TempDir(), "large.exe"))
	must(t, err)
	_, err = f.Write(signed[:table])
	must(t, err)
	_, err = f.WriteAt(signed[table:], size-int64(len(signed))+int64(table))
	must(t, err)
	_, err = f.WriteAt(binary.LittleEndian.AppendUint32(nil, uint32(size)-uint32(len(signed))+table), int64(at))
	must(t, err)
	return f
}
