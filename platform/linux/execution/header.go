//go:build linux

package execution

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// Bounds of what is read of a file's header, as the kernel has them or below.
const (
	maxLine     = 256  // of "#!" (binfmt_script.c, BINPRM_BUF_SIZE)
	maxSegments = 128  // program headers that are looked at
	maxName     = 4096 // PATH_MAX, of a loader
)

// ELF has few fields that matter here (elf(5)).
const (
	elf32, elf64 = 1, 2
	elfLittle    = 1
	ptInterp     = 3
)

// interpreterOf returns the absolute path of what the kernel opens to run a file: the
// program behind "#!", and then script is true, or the loader of an ELF file.
//
// The file is a user's: every number in it is checked before it is used, and nothing
// is allocated by its word. What it is wrong about costs its own process alone, which
// then finds its loader treated as any other program.
func interpreterOf(file io.ReaderAt) (path string, script, ok bool) {
	var head [maxLine]byte
	n, _ := file.ReadAt(head[:], 0)
	b := head[:n]
	if bytes.HasPrefix(b, []byte("#!")) {
		line, _, _ := bytes.Cut(b[2:], []byte("\n"))
		words := strings.Fields(string(line))
		if len(words) == 0 || !strings.HasPrefix(words[0], "/") || strings.ContainsRune(words[0], 0) {
			return "", false, false
		}
		return words[0], true, true
	}
	if n < 64 || !bytes.HasPrefix(b, []byte("\x7fELF")) || b[4] != elf32 && b[4] != elf64 {
		return "", false, false
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[5] == elfLittle {
		order = binary.LittleEndian
	}
	at, size, count := int64(order.Uint32(b[28:])), int64(order.Uint16(b[42:])), int(order.Uint16(b[44:]))
	least := int64(32)
	if b[4] == elf64 {
		at, size, count, least = int64(order.Uint64(b[32:])), int64(order.Uint16(b[54:])), int(order.Uint16(b[56:])), 56
	}
	if at < 0 || size < least {
		return "", false, false
	}
	for i := range min(count, maxSegments) {
		var segment [56]byte
		if _, err := file.ReadAt(segment[:least], at+int64(i)*size); err != nil {
			return "", false, false
		}
		if order.Uint32(segment[:]) != ptInterp {
			continue
		}
		from, length := int64(order.Uint32(segment[4:])), int64(order.Uint32(segment[16:]))
		if b[4] == elf64 {
			from, length = int64(order.Uint64(segment[8:])), int64(order.Uint64(segment[32:]))
		}
		if from < 0 || length < 2 || length > maxName {
			return "", false, false
		}
		var name [maxName]byte
		if _, err := file.ReadAt(name[:length], from); err != nil {
			return "", false, false
		}
		text, _, ended := strings.Cut(string(name[:length]), "\x00")
		return text, false, ended && strings.HasPrefix(text, "/")
	}
	return "", false, false
}
