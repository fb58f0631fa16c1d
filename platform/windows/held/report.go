package held

import "encoding/binary"

// What the service says to a helper that has sent StepCreated, a byte each. All
// but Go come after it.
const (
	Go        byte = 1 // let the program run
	Interrupt byte = 2 // Ctrl-C for everything in its console
	Break     byte = 3 // Ctrl-Break
)

// Step is what a helper has done, or where it gave up.
type Step uint32

// The steps, in order. StepCreated and StepRunning say that all went well so
// far; the others come with an error number and are the helper's last word. StepDesktop is
// what one says that admits somebody to a desktop, without an error number if it has.
const (
	StepCreated Step = iota + 1
	StepRunning
	StepSpec
	StepConsole
	StepCreate
	StepResume
	StepDesktop
)

var stepNames = [...]string{
	"unknown step", "created", "running", "read what to start", "make a pseudo console", "create the process", "let it run",
	"admit it to the desktop",
}

// String says what was being done.
func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return stepNames[0]
}

// ReportSize is the length of an encoded Report.
const ReportSize = 12

// Report is what a helper says: a step, the Windows error number of one that
// failed, and the program's pid with StepCreated.
type Report struct {
	Step       Step
	Errno, PID uint32
}

// Encode returns r in ReportSize bytes.
func (r Report) Encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(r.Step))
	b = binary.LittleEndian.AppendUint32(b, r.Errno)
	return binary.LittleEndian.AppendUint32(b, r.PID)
}

// DecodeReport reads a report of ReportSize bytes.
func DecodeReport(b []byte) (Report, bool) {
	if len(b) != ReportSize {
		return Report{}, false
	}
	r := Report{Step(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
	return r, r.Step >= StepCreated && r.Step <= StepResume
}
