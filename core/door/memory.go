package door

// Memory asks the service to renew, or to forget, that the caller was verified. The
// answer is a Listing, which may be empty, or Refused. Nothing travels with it.
type Memory struct {
	Do MemoryAction
	// NonInteractive refuses instead of prompting.
	NonInteractive bool
}

// MemoryAction is what becomes of what is remembered.
type MemoryAction byte

// The actions.
const (
	// Validate has the person asked now (keepersudo -v).
	Validate MemoryAction = 1
	// Forget forgets what is remembered at the caller's terminal (-k), and
	// ForgetAll all that is remembered of the caller (-K).
	Forget    MemoryAction = 2
	ForgetAll MemoryAction = 3
)

// Encode returns the body of a Memory frame.
func (m Memory) Encode() []byte { return []byte{Version, byte(m.Do), flag(m.NonInteractive)} }

// DecodeMemory reads the body of a Memory frame.
func DecodeMemory(body []byte) (Memory, error) {
	d := decoder{rest: body}
	version, action, flags := d.byte(), MemoryAction(d.byte()), d.byte()
	if version != Version || action < Validate || action > ForgetAll || flags > 1 {
		d.failed = true
	}
	return Memory{Do: action, NonInteractive: flags == 1}, d.end()
}
