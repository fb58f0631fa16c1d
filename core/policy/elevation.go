package policy

// The policy types that answer whether a person may run a program with
// administrator rights, both together (decision 30).
const (
	TypePrivilegeElevation = "PrivilegeElevation"
	TypeCommandLine        = "CommandLine"
)

// elevation is the kind of question that keepersudo asks. Policies of type
// CommandLine may narrow themselves to an allow list of commands.
type elevation struct{}

func (elevation) extension() []string { return []string{"AllowCommands", transientKey, sessionKey} }

// read sets Transient, Session, and Own to AllowCommands, a []string. A list that is unset, or that cannot
// be read, leaves it nil: it narrows nothing.
func (elevation) read(r *reader, p *Policy, extension fields) {
	r.transient(p, extension)
	r.session(p, extension)
	v, given := extension.filled("AllowCommands")
	if !given {
		return
	}
	commands, whole := r.texts(v, "$.Extension.AllowCommands")
	switch {
	case !whole: // what is missing may be what was meant: it narrows nothing
	case p.Type != TypeCommandLine:
		r.doubt(v, "$.Extension.AllowCommands", "an allow list in a "+p.Type+" policy", "one of type CommandLine", "")
	case len(commands) == 0:
		r.doubt(v, "$.Extension.AllowCommands", "an empty list", "commands", "leave the key out to mean all commands")
	default:
		p.Own = commands
	}
}

// everyProgram is the documented exception: an empty ApplicationCheck of
// CommandLine means all elevated commands (decision 29).
func (elevation) everyProgram(p *Policy) bool { return p.Type == TypeCommandLine }

// own is empty: an elevation asks for nothing beyond a program and its
// arguments.
func (elevation) own(any) (any, bool) { return nil, true }
