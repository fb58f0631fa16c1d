//go:build linux

package wine

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
)

// Where the shim's one section lies, in memory and in the file.
const (
	sectionRVA    = 0x1000
	sectionOffset = 0x200
)

// shim is a bcryptprimitives.dll, which Debian 12's Wine lacks and every Go
// program for Windows loads: its one export, ProcessPrng, forwards to
// advapi32.SystemFunction036 (RtlGenRandom).
func shim() []byte {
	exports := forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036")
	header := pe.OptionalHeader64{
		Magic: 0x20b, BaseOfCode: sectionRVA, ImageBase: 0x6e5a00000, SectionAlignment: 0x1000, FileAlignment: sectionOffset,
		MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6, SizeOfImage: 2 * sectionRVA, SizeOfHeaders: sectionOffset,
		SizeOfInitializedData: uint32(len(exports)), Subsystem: pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
		SizeOfStackReserve: 1 << 20, SizeOfStackCommit: 1 << 12, SizeOfHeapReserve: 1 << 20, SizeOfHeapCommit: 1 << 12,
		NumberOfRvaAndSizes: 16,
	}
	header.DataDirectory[0] = pe.DataDirectory{VirtualAddress: sectionRVA, Size: 160}
	section := pe.SectionHeader32{
		VirtualSize: uint32(len(exports)), VirtualAddress: sectionRVA,
		SizeOfRawData: uint32(len(exports)), PointerToRawData: sectionOffset, Characteristics: 0x40000040,
	}
	copy(section.Name[:], ".edata")

	dos := make([]byte, 64)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[60:], uint32(len(dos)))
	file := bytes.NewBuffer(dos)
	file.WriteString("PE\x00\x00")
	for _, part := range []any{
		pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: 240, Characteristics: 0x2022},
		header, section,
	} {
		binary.Write(file, binary.LittleEndian, part) // a Buffer never fails
	}
	file.Write(make([]byte, sectionOffset-file.Len()))
	file.Write(exports)
	return file.Bytes()
}

// forwarder is an export directory with one function, which lies elsewhere.
func forwarder(dll, function, target string) []byte {
	section := make([]byte, sectionOffset)
	text := func(at int, s string) uint32 { copy(section[at:], s); return sectionRVA + uint32(at) }
	for at, value := range map[int]uint32{
		12: text(64, dll),
		16: 1, 20: 1, 24: 1, // ordinal base, functions, names
		28: sectionRVA + 40, 32: sectionRVA + 44, 36: sectionRVA + 48, // their tables
		40: text(96, target), // within the directory: a forwarder
		44: text(128, function),
	} {
		binary.LittleEndian.PutUint32(section[at:], value)
	}
	return section
}
