//go:build windows

package windows

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// What evntrace.h and evntcons.h have, for 64 bits.
const (
	enableProvider   = 1 // EVENT_CONTROL_CODE_ENABLE_PROVIDER
	controlStop      = 1 // EVENT_TRACE_CONTROL_STOP
	levelInformation = 4 // TRACE_LEVEL_INFORMATION
	flagTraced       = 0x0002_0000
	modeRealTime     = 0x0000_0100
	modeEventRecord  = 0x1000_0000
	clockOfSystem    = 2
	invalidTrace     = 0xffff_ffff_ffff_ffff
)

// traceProperties is EVENT_TRACE_PROPERTIES with its WNODE_HEADER, and room for the
// trace's name, which Windows writes there.
type traceProperties struct {
	size, provider           uint32
	context                  uint64
	timestamp                int64
	guid                     windows.GUID
	clock, flags             uint32
	bufferSize               uint32 // KiB
	minimum, maximum         uint32
	maximumFile, logFileMode uint32
	flushTimer, enable       uint32 // seconds
	age                      int32
	_                        [6]uint32 // what Windows counts
	thread                   windows.Handle
	fileNameAt, nameAt       uint32
	name                     [128]uint16
}

// traceHeader is how long it is without the name.
const traceHeader = unsafe.Offsetof(traceProperties{}.name)

func newTraceProperties() *traceProperties {
	return &traceProperties{
		size: uint32(unsafe.Sizeof(traceProperties{})), clock: clockOfSystem, flags: flagTraced,
		bufferSize: 64, minimum: 2, maximum: 4, logFileMode: modeRealTime, flushTimer: 1, nameAt: uint32(traceHeader),
	}
}

// logFile is EVENT_TRACE_LOGFILEW.
type logFile struct {
	fileName, loggerName *uint16
	_                    int64
	_                    uint32
	mode                 uint32
	_                    [88]byte  // EVENT_TRACE
	_                    [280]byte // TRACE_LOGFILE_HEADER
	bufferCallback       uintptr
	_                    [3]uint32
	eventCallback        uintptr
	_                    uint32
	context              uintptr
}

// eventRecord is EVENT_RECORD with its EVENT_HEADER.
type eventRecord struct {
	_              [4]uint16
	_, process     uint32 // of a thread
	_              int64
	provider       windows.GUID
	id             uint16
	_              [14]byte // the rest of EVENT_DESCRIPTOR
	_              uint64
	_              windows.GUID
	_              uint32 // ETW_BUFFER_CONTEXT
	_              uint16
	userDataLength uint16
	_              uintptr
	userData       *byte
	_              uintptr
}
