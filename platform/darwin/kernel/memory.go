package kernel

import (
	"encoding/binary"
	"fmt"
)

// MemoryLimit is what a process may have of memory (xnu, bsd/sys/kern_memorystatus.h,
// memorystatus_memlimit_properties_t).
type MemoryLimit struct {
	Active, Inactive           int32 // mebibytes; in use by a person or not
	ActiveFatal, InactiveFatal bool  // who exceeds it is killed
}

// Sizes of the structure: what is told, and what is answered since macOS 10.15, which
// has two words more.
const (
	MemoryLimitSize       = 16 // sizeof(memorystatus_memlimit_properties_t)
	MemoryLimitAnswerSize = 24 // sizeof(memorystatus_memlimit_properties2_t)

	memoryFatal = 0x1 // MEMORYSTATUS_MEMLIMIT_ATTR_FATAL
)

// FatalMemoryLimit is a limit in mebibytes that holds always.
func FatalMemoryLimit(most int32) MemoryLimit {
	return MemoryLimit{Active: most, Inactive: most, ActiveFatal: true, InactiveFatal: true}
}

// Encode returns l as memorystatus_control takes it.
func (l MemoryLimit) Encode() []byte {
	b := make([]byte, 0, MemoryLimitSize)
	for _, half := range []struct {
		most  int32
		fatal bool
	}{{l.Active, l.ActiveFatal}, {l.Inactive, l.InactiveFatal}} {
		attributes := uint32(0)
		if half.fatal {
			attributes = memoryFatal
		}
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, uint32(half.most)), attributes)
	}
	return b
}

// ParseMemoryLimit reads what memorystatus_control answers.
func ParseMemoryLimit(b []byte) (MemoryLimit, error) {
	if len(b) != MemoryLimitSize && len(b) != MemoryLimitAnswerSize {
		return MemoryLimit{}, fmt.Errorf("kernel: a memory limit of %d bytes, expected %d or %d", len(b), MemoryLimitSize, MemoryLimitAnswerSize)
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	return MemoryLimit{
		Active: int32(word(0)), ActiveFatal: word(4)&memoryFatal != 0,
		Inactive: int32(word(8)), InactiveFatal: word(12)&memoryFatal != 0,
	}, nil
}
